"""A PCI class code in, what functions of that class are out, for hosts without pci.ids. Pure.

Names are those of the PCI Code and ID Assignment Specification 1.15, shortened; the longest code that fits says it.
"""

from __future__ import annotations

# First hex digits of a class code: base class, sub-class, programming interface.
_NAMES = {
    "00": "old device",
    "01": "storage controller", "0100": "SCSI controller", "0101": "IDE controller", "0104": "RAID controller",
    "0106": "SATA controller", "010601": "SATA controller (AHCI)", "0107": "SAS controller",
    "0108": "memory controller for storage", "010802": "NVMe controller",
    "02": "network controller", "0200": "Ethernet controller", "0207": "InfiniBand controller",
    "0280": "network controller",
    "03": "display controller", "0300": "VGA controller", "0302": "3D controller",
    "04": "multimedia device", "0401": "audio device", "0403": "HD audio device",
    "05": "memory controller", "0502": "CXL memory",
    "06": "bridge", "0600": "host bridge", "0601": "ISA bridge", "0604": "PCI bridge",
    "07": "communication controller", "0700": "serial controller",
    "08": "system peripheral", "0805": "SD host controller", "0806": "IOMMU",
    "09": "input device",
    "0b": "processor", "0b40": "co-processor",
    "0c": "serial bus controller", "0c03": "USB controller", "0c0330": "USB controller (xHCI)",
    "0c0340": "USB4 controller", "0c04": "Fibre Channel controller", "0c05": "SMBus",
    "0d": "wireless controller", "0d11": "Bluetooth controller",
    "10": "encryption controller",
    "11": "signal processing controller",
    "12": "processing accelerator",
    "13": "instrumentation",
}  # fmt: skip


def class_name(code: str) -> str | None:
    """None: a class that is a vendor's own, or newer than the table."""
    return next((name for length in (6, 4, 2) if (name := _NAMES.get(code[:length]))), None)
