"""The kernel's modules in, what VFIO still needs loaded out. Pure."""

from __future__ import annotations

from launcher.plan.steps import LoadModules
from launcher.planner.backend import missing_options, serves_containers
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from launcher.host.facts import HostFacts, Linux, Serving
    from launcher.plan.virtio import Virtio
    from launcher.planner.backend import Backend


# Who makes the nodes that taps, vhost-net and vhost-vsock are opened by.
OF_NODES = {"/dev/net/tun": "tun", "/dev/vhost-net": "vhost_net", "/dev/vhost-vsock": "vhost_vsock"}


def unloaded(linux: Linux, backend: Backend = "type1", *, pci: bool = True) -> tuple[str, ...]:
    """By their names in /sys/module; nothing where it is not recorded which there are."""
    loaded = linux.modules
    return () if loaded is None else tuple(name for name in needed(linux, backend, pci=pci) if name not in loaded)


def needed(linux: Linux, backend: Backend = "type1", *, pci: bool = True) -> tuple[str, ...]:
    """iommufd can serve containers in place of type1. `pci`: one of the devices is; a mediated one has its driver."""
    own = ("iommufd",) if backend == "iommufd" else () if serves_containers(linux) else ("vfio_iommu_type1",)
    return ("vfio_pci", *own) if pci else own


def obtainable(linux: Linux) -> dict[str, bool | Missing]:
    """Of what VFIO needs: whether it is loaded, or could be."""
    loaded, known = linux.modules or (), linux.loadable
    return {
        name: name in loaded or (known if isinstance(known, Missing) else name in (known or ()))
        for name in dict.fromkeys((*needed(linux), *needed(linux, "iommufd")))
    }


_NODES = {"vhost-net": ("/dev/net/tun", "/dev/vhost-net"), "vhost-vsock": ("/dev/vhost-vsock",)}


def nodes_opened(functions: Iterable[Virtio]) -> tuple[str, ...]:
    """Device nodes by which kernel engines and taps are opened."""
    engines = {one.engine for one in functions}
    return tuple(node for engine, nodes in _NODES.items() if engine in engines for node in nodes)


def nodes_obtainable(serving: Serving) -> dict[str, bool]:
    """Of the nodes of taps and vhost: whether it is there, or a module could be loaded that makes it."""
    there = {one.path for one in serving.nodes}
    modules = () if isinstance(serving.modules, Missing) else serving.modules
    return {node: node in there or module in modules for node, module in OF_NODES.items()}


def unloadable(linux: Linux, backend: Backend = "type1", *, pci: bool = True) -> tuple[str, ...]:
    """Of those that are not loaded the ones that this kernel has not got."""
    known, absent = linux.loadable, unloaded(linux, backend, pci=pci)
    return tuple(name for name in absent if name not in known) if isinstance(known, tuple) else ()


def lacking(host: HostFacts, backend: Backend = "type1", *, pci: bool = True) -> tuple[str, ...]:
    """What this kernel has not got, so that no loading brings it."""
    options = (one for one in missing_options(host, backend) if pci or one != "CONFIG_VFIO_PCI")
    return (*options, *unloadable(host.linux, backend, pci=pci))


def vga_is_to_come(linux: Linux) -> bool:
    """vfio-pci is still to be loaded, and will do it."""
    return "vfio_pci" in unloaded(linux) and isinstance(linux.config, dict) and "VFIO_PCI_VGA" in linux.config


def may_load(host: HostFacts) -> bool:
    process = host.process
    return "cap_sys_module" in process.capabilities and not process.own_user_namespace


def loading_step(
    host: HostFacts, *, by: Backend | None, pci: bool = True, nodes: Collection[str] = ()
) -> LoadModules | None:
    """modprobe takes the names of /sys/module, and knows what else a module needs. `by` what devices are passed, if
    there are any; `nodes`: those that are opened."""
    names = (*(_of_vfio(host, by, pci) if by else ()), *_of_nodes(host, nodes))
    return LoadModules(names) if names and may_load(host) else None


def _of_vfio(host: HostFacts, by: Backend, pci: bool) -> tuple[str, ...]:
    known = not isinstance(host.linux.loadable, Missing | None) and not unloadable(host.linux, by, pci=pci)
    return unloaded(host.linux, by, pci=pci) if known else ()


def _of_nodes(host: HostFacts, nodes: Collection[str]) -> tuple[str, ...]:
    """A node that is there loads its module when it is opened."""
    serving = host.serving
    if serving is None or isinstance(serving.modules, Missing):
        return ()
    there = {one.path for one in serving.nodes}
    absent = (module for node, module in OF_NODES.items() if node in nodes and node not in there)
    return tuple(module for module in absent if module in serving.modules)
