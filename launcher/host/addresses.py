"""Link targets of sysfs in, the PCI functions on their way out. Pure."""

from __future__ import annotations

from launcher.host.lists import str_of
from launcher.values import Missing, PciAddress


def owner(link: str | Missing) -> PciAddress | None:
    """`../devices/pci0000:00/0000:00:02.0/0000:01:00.0/nvme/nvme0/nvme0n1` -> 0000:01:00.0."""
    found = _found(link)
    return found[-1] if found else None


def parent(link: str | Missing) -> PciAddress | None:
    """The function above the one that the link of a device's own folder ends with."""
    found = _found(link)
    return found[-2] if len(found) > 1 else None


def last(link: str | Missing) -> str:
    """`../../../bus/pci/drivers/nvme` -> nvme."""
    return str_of(link).rpartition("/")[2]


def pci_address(text: str) -> PciAddress | None:
    try:
        return PciAddress.parse(text)
    except ValueError:
        return None


def _found(link: str | Missing) -> list[PciAddress]:
    """Parts of a path that are PCI addresses; `pci0000:00` is a bus, `0000:00:02.0:pcie001` a service of a port."""
    parts = (part for part in str_of(link).split("/") if ":" in part and "." in part)
    return [address for address in map(pci_address, parts) if address]
