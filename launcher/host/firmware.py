"""A Tree in; what the machine is, out: ACPI's tables, the maker, the CPUs' abilities."""

from __future__ import annotations

from launcher.host.facts import Firmware
from launcher.host.lists import keyed, number, str_of
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from launcher.host.tree import Tree

_TABLES = "/sys/firmware/acpi/tables"
_OF_IOMMUS = ("DMAR", "IORT", "IVRS", "VIOT")
_DMI = "/sys/class/dmi/id"
_ONE_CPU = 8192  # bytes of /proc/cpuinfo in which the first CPU has told all; the kernel takes long over many CPUs
# DMI chassis types (SMBIOS 3.7, 7.4.1): portable, laptop, notebook, hand held, sub notebook, tablet, convertible,
# detachable.
_PORTABLE = {8, 9, 10, 11, 14, 30, 31, 32}


def read_firmware(tree: Tree) -> Firmware:
    words, bits = _cpu(tree)
    hypervisor = str_of(tree.read_text("/sys/hypervisor/type")) or None
    return Firmware(
        tables=_tables(tree),
        vendor=_text(tree, "sys_vendor"),
        product=_text(tree, "product_name"),
        virtual="hypervisor" in words or hypervisor is not None,
        virtualization=not words or bool(words & {"svm", "vmx"}),
        physical_bits=bits,
        portable=number(_text(tree, "chassis_type") or "") in _PORTABLE,
        sleeps=tuple(str_of(tree.read_text("/sys/power/state")).split()),
        hypervisor=hypervisor,
    )


def _tables(tree: Tree) -> tuple[str, ...] | Missing:
    """Their names are for all to see. A machine without ACPI has none."""
    found = tree.list_folder(_TABLES)
    if isinstance(found, Missing):
        return () if found.missing == "absent" else found
    return tuple(name for name in _OF_IOMMUS if name in found)


def _text(tree: Tree, name: str) -> str | None:
    return str_of(tree.read_text(f"{_DMI}/{name}")).strip() or None


def _cpu(tree: Tree) -> tuple[frozenset[str], int | None]:
    """Flags, and bits of physical addresses. No flags: another architecture, or not to be read."""
    found = tree.read_bytes("/proc/cpuinfo", 0, _ONE_CPU)
    first = "" if isinstance(found, Missing) else found.decode(errors="replace").partition("\n\n")[0]
    lines = keyed(first, ":")
    bits, is_said, _ = lines.get("address sizes", "").partition(" bits physical")
    return frozenset(lines.get("flags", "").split()), int(bits) if is_said and bits.isdecimal() else None
