"""A Tree in, PCI functions out. Only files whose reading wakes no device: never `config`, `rom` or `resourceN`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from launcher.host.facts import Bar, PciFunction
from launcher.host.lists import keyed, number, str_of
from launcher.host.names import Names
from launcher.values import Hex, Missing, PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.tree import Tree

_DEVICES = "/sys/bus/pci/devices"
_SLOTS = "/sys/bus/pci/slots"

# Flags of a line of `resource` (include/linux/ioport.h).
_IO, _MEM, _PREFETCH, _MEM_64, _UNSET = 0x100, 0x200, 0x2000, 0x100000, 0x20000000
_BARS = 6


def read_pci(tree: Tree) -> tuple[PciFunction, ...]:
    """All functions by address. A machine without PCI has none."""
    folders = tree.list_folder(_DEVICES)
    if isinstance(folders, Missing):
        return ()
    names, slots = Names.read(tree), _slots(tree)
    functions = (_function(tree, PciAddress.parse(folder), names, slots) for folder in folders)
    return tuple(sorted(functions, key=lambda one: one.address))


def _function(tree: Tree, address: PciAddress, names: Names, slots: dict[str, str]) -> PciFunction:
    folder = f"{_DEVICES}/{address}"
    # One read instead of six; also right for virtual functions, whose config space says ffff:ffff.
    event = keyed(tree.read_text(f"{folder}/uevent"), "=")
    identity = event.get("PCI_ID", "").lower()
    entries = tree.list_folder(folder)
    present = frozenset() if isinstance(entries, Missing) else frozenset(entries)
    return PciFunction(
        address=address,
        id=identity,
        subsystem=event.get("PCI_SUBSYS_ID", "").lower() or None,
        class_code=event.get("PCI_CLASS", "").lower().rjust(6, "0"),
        revision=str_of(tree.read_text(f"{folder}/revision")).removeprefix("0x") or None,
        name=names.of(identity),
        driver=event.get("DRIVER"),
        driver_override=_override(tree.read_text(f"{folder}/driver_override")),
        node=_node(tree.read_text(f"{folder}/numa_node")),
        group=number(_last(tree.read_link(f"{folder}/iommu_group"))),
        reset=_reset(tree.read_text(f"{folder}/reset_method")),
        bars=_bars(tree.read_text(f"{folder}/resource")),
        serial=_serial(tree, folder) if "nvme" in present else None,
        slot=slots.get(address.slot),
        physical_function=_address(tree, f"{folder}/physfn") if "physfn" in present else None,
        virtual_functions=_virtual_functions(tree, folder, present),
    )


def _override(text: str | Missing) -> str | None:
    """The kernel writes an unset override as `(null)`."""
    return None if isinstance(text, Missing) or text in ("", "(null)") else text


def _node(text: str | Missing) -> int | None:
    """-1: the firmware says nothing, which is not node 0."""
    node = number(text)
    return None if node is None or node < 0 else node


def _reset(text: str | Missing) -> tuple[str, ...] | Missing:
    """No file: no way to reset (5.15 and later); an empty line: an administrator switched it off."""
    if isinstance(text, Missing):
        return () if text.missing == "absent" else text
    return tuple(text.split())


def _bars(text: str | Missing) -> tuple[Bar, ...] | Missing:
    return text if isinstance(text, Missing) else tuple(_parse_bars(text))


def _parse_bars(text: str) -> Iterator[Bar]:
    """Lines 0 to 5 of `resource`; the second half of a 64-bit BAR is a line of zeros, as is one that is not there."""
    for index, line in enumerate(text.splitlines()[:_BARS]):
        start, last, flags = (int(word, 16) for word in line.split())
        if flags & (_IO | _MEM) and last > start:
            assigned: Hex = 0 if flags & _UNSET else start
            yield Bar(index, _kind(flags), bool(flags & _PREFETCH), assigned, last - start + 1)


def _kind(flags: int) -> Literal["io", "mem32", "mem64"]:
    if flags & _IO:
        return "io"
    return "mem64" if flags & _MEM_64 else "mem32"


def _serial(tree: Tree, folder: str) -> str | None:
    """The NVMe driver keeps it in memory: reading it asks no device."""
    controllers = tree.list_folder(f"{folder}/nvme")
    if isinstance(controllers, Missing):
        return None
    return str_of(tree.read_text(f"{folder}/nvme/{controllers[0]}/serial")).strip() or None


def _virtual_functions(tree: Tree, folder: str, present: frozenset[str]) -> tuple[PciAddress, ...]:
    links = sorted((name for name in present if name.startswith("virtfn")), key=lambda name: int(name[6:]))
    found = (_address(tree, f"{folder}/{link}") for link in links)
    return tuple(address for address in found if address)


def _address(tree: Tree, link: str) -> PciAddress | None:
    text = _last(tree.read_link(link))
    return PciAddress.parse(text) if text else None


def _slots(tree: Tree) -> dict[str, str]:
    """`0000:03:00` -> the name of the slot it is in."""
    names = tree.list_folder(_SLOTS)
    found = () if isinstance(names, Missing) else names
    return {str_of(tree.read_text(f"{_SLOTS}/{name}/address")): name for name in found}


def _last(link: str | Missing) -> str:
    return str_of(link).rpartition("/")[2]
