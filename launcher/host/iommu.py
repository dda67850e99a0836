"""A Tree in; the IOMMU, its groups and their reserved regions out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from launcher.host.facts import Iommu, IommuGroup, ReservedRegion
from launcher.host.lists import number
from launcher.values import Missing, PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.tree import Tree

_UNITS = "/sys/class/iommu"
_GROUPS = "/sys/kernel/iommu_groups"
_KINDS = {"dmar": "Intel VT-d", "ivhd": "AMD-Vi", "virtio": "virtio-iommu"}
_REGION = re.compile(r"0x([0-9a-f]{16}) 0x([0-9a-f]{16}) (\S+)")

# AMD translates at least 48 bits, and 6.1 claims 64, which the hardware then refuses.
_AMD_BITS = 48
# Supported adjusted guest address widths, VT-d 3.3, 11.4.2: bit of SAGAW -> bits.
_SAGAW = {1: 39, 2: 48, 3: 57}


def read_iommu(tree: Tree) -> Iommu | None:
    """None: no IOMMU is in use. Units of one machine are of one kind; the narrowest counts."""
    units = tree.list_folder(_UNITS)
    if isinstance(units, Missing) or not units:
        return None
    word = re.match(r"[a-z]*", units[0])
    kind = _KINDS.get(word[0] if word else "", units[0])
    widths = [bits for bits in (_width(tree, kind, unit) for unit in units) if bits]
    return Iommu(kind, min(widths, default=None))


def _width(tree: Tree, kind: str, unit: str) -> int | None:
    if kind == "AMD-Vi":
        return _AMD_BITS
    capabilities = number(tree.read_text(f"{_UNITS}/{unit}/intel-iommu/cap"), 16)
    if capabilities is None:
        return None
    maximum = (capabilities >> 16 & 0x3F) + 1
    widest = max((bits for bit, bits in _SAGAW.items() if capabilities >> 8 + bit & 1), default=maximum)
    return min(maximum, widest)


def read_groups(tree: Tree) -> tuple[IommuGroup, ...]:
    names = tree.list_folder(_GROUPS)
    numbers = () if isinstance(names, Missing) else sorted(int(name) for name in names if name.isdecimal())
    return tuple(_group(tree, number) for number in numbers)


def _group(tree: Tree, group: int) -> IommuGroup:
    folder = f"{_GROUPS}/{group}"
    regions = tree.read_text(f"{folder}/reserved_regions")
    return IommuGroup(
        number=group,
        kind=tree.read_text(f"{folder}/type"),
        devices=tuple(_pci_members(tree, folder)),
        reserved=regions if isinstance(regions, Missing) else tuple(parse_reserved(regions)),
    )


def _pci_members(tree: Tree, folder: str) -> Iterator[PciAddress]:
    """Groups also hold platform devices (INTC1085:00), which have no PCI address."""
    names = tree.list_folder(f"{folder}/devices")
    for name in () if isinstance(names, Missing) else names:
        try:
            yield PciAddress.parse(name)
        except ValueError:
            continue


def parse_reserved(text: str) -> Iterator[ReservedRegion]:
    """Every line, whatever its last word: one that we do not know is a region to keep away from."""
    for match in map(_REGION.match, text.splitlines()):
        if match:
            yield ReservedRegion(int(match[1], 16), int(match[2], 16), match[3])
