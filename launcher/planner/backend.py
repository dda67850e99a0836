"""What the kernel's two ways to pass devices are called and need: type1, and iommufd. Pure.

Type1 has VFIO's containers and groups (/dev/vfio/vfio, /dev/vfio/N); each kernel of Debian has it and nothing else.
iommufd (Linux 6.2, functions by nodes of their own 6.6) is what some kernels have in its place, where it may serve
VFIO's containers, too, and what is handed to some containers of engines. BARs of other devices can be mapped by type1,
and by iommufd since Linux 6.19.
"""

from __future__ import annotations

from launcher.planner.linux import release
from launcher.typed import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, Linux, MediatedDevice, PciFunction

Backend = Literal["type1", "iommufd"]
NAMES: dict[Backend, str] = {"type1": "VFIO type1", "iommufd": "VFIO iommufd"}
CONTROL_NODES: dict[Backend, str] = {"type1": "/dev/vfio/vfio", "iommufd": "/dev/iommu"}

# What the kernel's configuration calls them, and since when they can be left out (None: they are new).
_OPTIONS: dict[Backend, dict[str, tuple[int, int] | None]] = {
    "type1": {"VFIO_PCI": (0, 0), "VFIO_CONTAINER": (6, 2), "VFIO_GROUP": (6, 6)},
    "iommufd": {"VFIO_PCI": (0, 0), "IOMMUFD": None, "VFIO_DEVICE_CDEV": None},
}


def missing_options(host: HostFacts, backend: Backend) -> tuple[str, ...]:
    """What it needs and this kernel was configured without; nothing where its configuration is not known."""
    config, version = host.linux.config, release(host.kernel)
    if not isinstance(config, dict):
        return ()
    by_iommufd = {"VFIO_CONTAINER"} if "IOMMUFD_VFIO_CONTAINER" in config else set()
    lacking = (
        name
        for name, since in _OPTIONS[backend].items()
        if name not in config and name not in by_iommufd and (since is None or version >= since)
    )
    return tuple(f"CONFIG_{name}" for name in lacking)


def serves_containers(linux: Linux) -> bool:
    """Whether /dev/vfio/vfio is iommufd's, in place of type1."""
    config = linux.config if isinstance(linux.config, dict) else {}
    return "IOMMUFD_VFIO_CONTAINER" in config and "VFIO_CONTAINER" not in config


def strict_module(linux: Linux, backend: Backend) -> str:
    """Who refuses to give devices away where interrupts are not remapped, and has the parameter that lifts it."""
    return "iommufd" if backend == "iommufd" or serves_containers(linux) else "vfio_iommu_type1"


def shares_bars(host: HostFacts, backend: Backend) -> bool:
    """Whether devices are given each other's BARs: as far as the configuration says it, before a device is asked.

    By iommufd as dma-bufs, of which its containers know nothing (drivers/iommu/iommufd/vfio_compat.c).
    """
    config = host.linux.config if isinstance(host.linux.config, dict) else {}
    return not serves_containers(host.linux) if backend == "type1" else "VFIO_PCI_DMABUF" in config


def own_node(one: PciFunction | MediatedDevice) -> str | None:
    """Of what VFIO has now, by the name that it has now."""
    return f"/dev/vfio/devices/{one.vfio}" if one.vfio else None
