"""What the kernel's two ways to pass devices are called and need: type1, and iommufd. Pure.

Type1 has containers and groups (/dev/vfio/vfio, /dev/vfio/N), and BARs of other devices can be mapped; each kernel of
Debian has it and nothing else. iommufd (Linux 6.2, functions by nodes of their own 6.6) is what some kernels have in
its place, and what is handed to some containers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from launcher.planner.linux import release

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, MediatedDevice, PciFunction

Backend = Literal["type1", "iommufd"]
NAMES: dict[Backend, str] = {"type1": "VFIO type1", "iommufd": "VFIO iommufd"}
CONTROL_NODES: dict[Backend, str] = {"type1": "/dev/vfio/vfio", "iommufd": "/dev/iommu"}

# Which module refuses to give devices away where interrupts are not remapped, and has the parameter that lifts it.
STRICT_MODULES: dict[Backend, str] = {"type1": "vfio_iommu_type1", "iommufd": "iommufd"}

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


def own_node(one: PciFunction | MediatedDevice) -> str | None:
    """Of what VFIO has now, by the name that it has now."""
    return f"/dev/vfio/devices/{one.vfio}" if one.vfio else None
