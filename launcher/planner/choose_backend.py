"""(spec, host) -> by which of the kernel's two ways devices are passed. Pure."""

from __future__ import annotations

from launcher.planner.backend import CONTROL_NODES, own_node, serves_containers, strict_module
from launcher.planner.modules import lacking, may_load
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.host.facts import DeviceNode, HostFacts, MediatedDevice, PciFunction
    from launcher.planner.backend import Backend
    from launcher.spec.parts import VmSpec


def backend_of(spec: VmSpec, host: HostFacts, functions: Iterable[PciFunction | MediatedDevice]) -> Backend:
    """Type1 where it is there: it maps BARs for other devices, and is what all have tried. `functions`: the guest's."""
    if spec.vfio != "auto":
        return spec.vfio
    given_nodes = _is_there("iommufd", host) and _only_by_own_nodes(functions, host)
    return "iommufd" if given_nodes else usual_backend(host)


def usual_backend(host: HostFacts) -> Backend:
    return "iommufd" if _is_there("iommufd", host) and not _is_there("type1", host) else "type1"


def _only_by_own_nodes(functions: Iterable[PciFunction | MediatedDevice], host: HostFacts) -> bool:
    """We may open the nodes of them all, and not those of all groups."""
    usable = {one.path for one in host.device_nodes or () if one.usable}
    ready = [one for one in functions if one.vfio]
    own = all(own_node(one) in usable for one in ready)
    return bool(ready) and own and not all(f"/dev/vfio/{one.group}" in usable for one in ready)


def _is_there(backend: Backend, host: HostFacts) -> bool:
    """As far as the kernel's configuration and the nodes that we were given say it."""
    if lacking(host, backend) or (backend == "type1" and serves_containers(host.linux)):
        return False
    control = _node(CONTROL_NODES[backend], host)
    if control is not None:
        return control.usable
    if host.device_nodes is not None and {"vfio", strict_module(host.linux, backend)} <= set(host.linux.modules or ()):
        return False  # the host has it, and a container has not
    return backend == "type1" or (isinstance(host.linux.config, dict) and may_load(host))


def _node(path: str, host: HostFacts) -> DeviceNode | None:
    return next((one for one in host.device_nodes or () if one.path == path), None)
