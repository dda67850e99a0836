"""ACPI tables as they stand in guest memory in; files, and a script by which firmware places them itself, out. Pure.

The script is QEMU's (hw/acpi/bios-linker-loader.c): take memory for a file, add a file's address to a pointer in
another, put a checksum.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

from launcher.machine.start import Patch
from launcher.row import NamedTuple

TABLES, RSDP, SCRIPT = "etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"
ALLOCATE, ADD_POINTER, ADD_CHECKSUM = 1, 2, 3
HIGH, LOW = 1, 2  # zones: anywhere, or the area that is searched for an RSDP
ALIGNED, RSDP_ALIGNED = 64, 16
ENTRY, NAME = 128, 56

# Where tables point to others: (offset, bytes).
OF_RSDP = ((24, 8),)
OF_FADT = ((36, 4), (40, 4), (132, 8), (140, 8))  # FACS, DSDT, and both again as X_
CHECKSUM, FIRST_CHECKSUM, LAST_CHECKSUM = 9, 8, 32  # in a table; in the RSDP, over 20 bytes and over all


class Placed(NamedTuple):
    """The files without addresses: what a pointer leads to counts from the start of the tables."""

    tables: bytes
    rsdp: bytes
    script: bytes


def placed(patches: Sequence[Patch]) -> Placed:
    """`patches`: the RSDP first, then the tables in the order of their addresses."""
    rsdp, tables = patches[0].data, patches[1:]
    base, last = tables[0].guest, tables[-1]
    image = bytearray(last.guest + len(last.data) - base)
    steps = [_allocate(RSDP, RSDP_ALIGNED, LOW), _allocate(TABLES, ALIGNED, HIGH)]
    for one in tables:
        at = one.guest - base
        pointers = [(at + offset, size) for offset, size in _pointers(one.data)]
        image[at : at + len(one.data)] = _relative(one.data, at, pointers, base)
        steps += [_pointer(TABLES, offset, size) for offset, size in pointers]
        if one.data[:4] != b"FACS":  # which has none
            image[at + CHECKSUM] = 0
            steps.append(_checksum(TABLES, at + CHECKSUM, at, len(one.data)))
    own = bytearray(_relative(rsdp, 0, OF_RSDP, base))
    own[FIRST_CHECKSUM] = own[LAST_CHECKSUM] = 0
    steps += [_pointer(RSDP, offset, size) for offset, size in OF_RSDP]
    steps += [_checksum(RSDP, FIRST_CHECKSUM, 0, 20), _checksum(RSDP, LAST_CHECKSUM, 0, len(rsdp))]
    return Placed(bytes(image), bytes(own), b"".join(steps))


def _pointers(table: bytes) -> Iterator[tuple[int, int]]:
    if table[:4] == b"FACP":
        yield from OF_FADT
    if table[:4] == b"XSDT":
        yield from ((offset, 8) for offset in range(36, len(table), 8))


def _relative(table: bytes, at: int, pointers: Sequence[tuple[int, int]], base: int) -> bytes:
    changed = bytearray(table)
    for offset, size in pointers:
        place = slice(offset - at, offset - at + size)
        changed[place] = (int.from_bytes(table[place], "little") - base).to_bytes(size, "little")
    return bytes(changed)


def _entry(kind: int, content: bytes) -> bytes:
    return (struct.pack("<I", kind) + content).ljust(ENTRY, b"\0")


def _name(name: str) -> bytes:
    return name.encode().ljust(NAME, b"\0")


def _allocate(name: str, alignment: int, zone: int) -> bytes:
    return _entry(ALLOCATE, _name(name) + struct.pack("<IB", alignment, zone))


def _pointer(name: str, offset: int, size: int) -> bytes:
    """All lead to the tables."""
    return _entry(ADD_POINTER, _name(name) + _name(TABLES) + struct.pack("<IB", offset, size))


def _checksum(name: str, offset: int, start: int, length: int) -> bytes:
    return _entry(ADD_CHECKSUM, _name(name) + struct.pack("<III", offset, start, length))
