"""A Tree in; the IOMMU, its groups and their reserved regions out."""

from __future__ import annotations

from launcher.host.addresses import last, pci_address
from launcher.host.facts import Iommu, IommuGroup, IommuUnit, ReservedRegion
from launcher.host.lists import entries, number, str_of
from launcher.patterns import re
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.tree import Tree

_UNITS = "/sys/class/iommu"
_GROUPS = "/sys/kernel/iommu_groups"
_KINDS = {"dmar": "Intel VT-d", "ivhd": "AMD-Vi", "virtio": "virtio-iommu"}
_REGION = r"0x([0-9a-f]{16}) 0x([0-9a-f]{16}) (\S+)"

# AMD translates at least 48 bits, and 6.1 claims 64, which the hardware then refuses.
_AMD_BITS = 48
# Supported adjusted guest address widths, VT-d 3.3, 11.4.2: bit of SAGAW -> bits.
_SAGAW = {1: 39, 2: 48, 3: 57}
# Bits of the extended capabilities, VT-d 3.3, 11.4.3.
_REMAPS, _SNOOPS, _FIRST_STAGE = 1 << 3, 1 << 7, 1 << 43 | 1 << 47


def read_iommu(tree: Tree) -> Iommu | None:
    """None: no IOMMU is in use. Units of one machine are of one kind; the narrowest counts."""
    names = entries(tree.list_folder(_UNITS))
    if not names:
        return None
    word = re.match(r"[a-z]*", names[0])
    kind = _KINDS.get(word[0] if word else "", names[0])
    units = tuple(_unit(tree, kind, name) for name in sorted(names, key=_by_number))
    return Iommu(kind, min((one.address_bits for one in units if one.address_bits), default=None), units)


def _by_number(name: str) -> tuple[str, int]:
    """dmar2 comes before dmar10."""
    word = name.rstrip("0123456789")
    return word, number(name.removeprefix(word)) or 0


def _unit(tree: Tree, kind: str, name: str) -> IommuUnit:
    if kind == "AMD-Vi":
        return IommuUnit(name, _AMD_BITS, snoops=True, remaps=True)  # as all of them can
    folder = f"{_UNITS}/{name}/intel-iommu"
    capabilities, extended = (number(tree.read_text(f"{folder}/{one}"), 16) for one in ("cap", "ecap"))
    return IommuUnit(
        name=name,
        address_bits=None if capabilities is None else _width(capabilities, extended or 0),
        snoops=None if extended is None else bool(extended & _SNOOPS),
        remaps=None if extended is None else bool(extended & _REMAPS),
        domains=number(tree.read_text(f"{folder}/domains_used")),
        most_domains=number(tree.read_text(f"{folder}/domains_supported")),
    )


def _width(capabilities: int, extended: int) -> int:
    maximum = (capabilities >> 16 & 0x3F) + 1
    widest = max((bits for bit, bits in _SAGAW.items() if capabilities >> 8 + bit & 1), default=maximum)
    # The upper half of a first-stage table is for addresses with the highest bit set.
    return min(maximum, widest) - (extended & _FIRST_STAGE == _FIRST_STAGE)


def read_groups(tree: Tree) -> tuple[IommuGroup, ...]:
    numbers = sorted(int(name) for name in entries(tree.list_folder(_GROUPS)) if name.isdecimal())
    return tuple(_group(tree, number) for number in numbers)


def _group(tree: Tree, group: int) -> IommuGroup:
    folder = f"{_GROUPS}/{group}"
    regions, names = tree.read_text(f"{folder}/reserved_regions"), entries(tree.list_folder(f"{folder}/devices"))
    functions = {name: address for name in names if (address := pci_address(name))}
    others = tuple(name for name in names if name not in functions)  # platform devices, as INTC1085:00
    drivers = {name: last(tree.read_link(f"{folder}/devices/{name}/driver")) for name in others}
    return IommuGroup(
        number=group,
        kind=tree.read_text(f"{folder}/type"),
        devices=tuple(sorted(functions.values())),
        reserved=regions if isinstance(regions, Missing) else tuple(parse_reserved(regions)),
        name=str_of(tree.read_text(f"{folder}/name")) or None,
        others=others,
        other_drivers={name: driver for name, driver in drivers.items() if driver},
    )


def parse_reserved(text: str) -> Iterator[ReservedRegion]:
    """Every line, whatever its last word: one that we do not know is a region to keep away from."""
    for match in (re.match(_REGION, one) for one in text.splitlines()):
        if match:
            yield ReservedRegion(int(match[1], 16), int(match[2], 16), match[3])
