"""Devices of host zoo that rows pass to guests, bound to vfio-pci and left there: the machine ends soon."""

from __future__ import annotations

from pathlib import Path

PCI = Path("/sys/bus/pci")
NVME, E1000E, RTL8139 = "0000:01:00.0", "0000:02:00.0", "0000:00:09.0"


def to_vfio(address: str) -> None:
    """So that neither contender's start or stop has a driver's in it."""
    device = PCI / "devices" / address
    if (device / "driver").exists():
        if (device / "driver").resolve().name == "vfio-pci":
            return
        (device / "driver" / "unbind").write_text(address)
    (device / "driver_override").write_text("vfio-pci")
    (PCI / "drivers_probe").write_text(address)


def group_of(address: str) -> str:
    return (PCI / "devices" / address / "iommu_group").resolve().name


def node_of(address: str) -> str:
    """Its own, of VFIO by iommufd."""
    return f"devices/{next((PCI / 'devices' / address / 'vfio-dev').iterdir()).name}"
