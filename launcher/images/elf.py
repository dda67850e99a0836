"""An ELF file in; its PVH entry and what goes where in guest memory out. Pure; hostile files raise Lies, no other."""

from __future__ import annotations

import struct
from itertools import pairwise

from launcher.images.boot_files import Segment
from launcher.record import record
from launcher.typed import TYPE_CHECKING
from launcher.values import Span, align_up

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

_PT_LOAD, _PT_NOTE = 1, 4
_EM_386, _EM_X86_64 = 3, 62
_PHYS32_ENTRY = 18  # XEN_ELFNOTE_PHYS32_ENTRY (xen/include/public/elfnote.h)
_GUEST_OS = 6  # XEN_ELFNOTE_GUEST_OS

# e_machine (elf.h) of what people have kernels for.
_MACHINES = {
    2: "SPARC", 8: "MIPS", 15: "PA-RISC", 20: "PowerPC", 21: "64-bit PowerPC", 22: "s390x", 40: "32-bit ARM",
    43: "64-bit SPARC", 50: "Itanium",
    183: "AArch64 (arm64)", 243: "RISC-V", 247: "BPF", 258: "LoongArch", 36902: "Alpha",
}  # fmt: skip
_TYPES = {1: "elf-object", 4: "elf-core"}
_PT_INTERP = 3
# Multiboot 0.6.96, 3.1 and Multiboot2 2.0, 3.1.1.
_MULTIBOOT = (b"\x02\xb0\xad\x1b", b"\xd6\x50\x52\xe8")

# A kernel has five program headers and a few hundred bytes of notes.
_MOST_HEADERS = 64
_MOST_NOTES = 1 << 16


class Lies(ValueError):
    """The file cannot be what it says it is."""


@record
class _Format:
    """Where the fields of one ELF class are. `program` unpacks to the order that `order` names."""

    header: struct.Struct
    program: struct.Struct
    order: tuple[int, ...]  # places of type, offset, physical address, file size, memory size, alignment


# e_machine, e_phoff, e_phentsize, e_phnum from byte 16 on.
_ELF64 = _Format(struct.Struct("<2xH4x8xQ8x4x2xHH"), struct.Struct("<IIQQQQQQ"), (0, 2, 4, 5, 6, 7))
_ELF32 = _Format(struct.Struct("<2xH4x4xI4x4x2xHH"), struct.Struct("<IIIIIIII"), (0, 1, 3, 4, 5, 7))


@record
class _Program:
    """One program header."""

    kind: int
    offset: int
    physical: int
    file_size: int
    memory_size: int
    alignment: int


def content_of_elf(size: int, head: bytes, read: Read) -> str | None:
    """What an ELF file is that has no PVH entry, in the words of contents.py; None for what may be a kernel."""
    machine = _machine(head)
    if machine not in (_EM_386, _EM_X86_64):
        return "elf-foreign"
    if (kind := _TYPES.get(int.from_bytes(head[16:18], "little"))) is not None:
        return kind
    try:
        programs = tuple(_programs(size, head, read))
    except Lies:
        return "elf-damaged"
    if any(one.kind == _PT_INTERP for one in programs):
        return "elf-program"
    # The header stands in the first 8 KiB of Multiboot's image, and 32 KiB of Multiboot2's.
    return "multiboot" if any(sign in read(0, 1 << 15) for sign in _MULTIBOOT) else None


def _machine(head: bytes) -> int:
    return int.from_bytes(head[18:20], "big" if head[5:6] == b"\x02" else "little")


def says_linux(size: int, head: bytes, read: Read) -> bool:
    """By its notes: what Linux names after itself, or tells Xen of itself (arch/x86/xen/xen-head.S)."""
    notes = _all_notes(size, tuple(_programs(size, head, read)), read)
    return any(
        name == b"Linux\0" or (name, kind, text[:5]) == (b"Xen\0", _GUEST_OS, b"linux") for name, kind, text in notes
    )


def parse_elf(size: int, head: bytes, read: Read) -> tuple[int | None, tuple[Segment, ...]]:
    """The entry is None without a PVH note; then the segments do not matter and are not judged."""
    programs = tuple(_programs(size, head, read))
    entry = _pvh_entry(size, programs, read)
    if entry is None:
        return None, ()
    segments = _segments(size, programs)
    if not any(entry in Span(one.guest, one.memory_size) for one in segments):
        raise Lies(f"its PVH entry {entry:#x} is in none of its segments")
    return entry, segments


def _programs(size: int, head: bytes, read: Read) -> Iterator[_Program]:
    if len(head) >= 20 and (name := _MACHINES.get(_machine(head))):
        raise Lies(f"it is for another machine: {name}")
    form = {1: _ELF32, 2: _ELF64}.get(head[4] if len(head) > 5 and head[5] == 1 else 0)
    if form is None or len(head) < 16 + form.header.size:
        raise Lies("its ELF header is not that of a little-endian machine, or it is cut off")
    machine, offset, entry_size, count = form.header.unpack_from(head, 16)
    if machine not in (_EM_386, _EM_X86_64):
        raise Lies(f"it is for another machine: ELF machine {machine}")
    if not 0 < count <= _MOST_HEADERS or entry_size != form.program.size:
        raise Lies(f"it has {count} program headers of {entry_size} bytes")
    table = read(offset, count * entry_size) if offset + count * entry_size <= size else b""
    if len(table) < count * entry_size:
        raise Lies("its program headers are behind its end")
    for fields in form.program.iter_unpack(table):
        yield _Program(*(fields[place] for place in form.order))


def _segments(size: int, programs: tuple[_Program, ...]) -> tuple[Segment, ...]:
    loaded = [_segment(size, one) for one in programs if one.kind == _PT_LOAD and one.memory_size]
    ordered = sorted(loaded, key=lambda one: one.guest)
    for lower, upper in pairwise(ordered):
        if lower.guest + lower.memory_size > upper.guest:
            raise Lies(f"its segments at {lower.guest:#x} and {upper.guest:#x} overlap")
    return tuple(ordered)


def _segment(size: int, one: _Program) -> Segment:
    if one.file_size > one.memory_size:
        raise Lies(f"its segment at {one.physical:#x} is larger in the file than in memory")
    if one.offset + one.file_size > size:
        raise Lies(f"its segment at {one.physical:#x} is behind its end; the file is cut off")
    if one.physical + one.memory_size > 1 << 64:
        raise Lies(f"its segment at {one.physical:#x} runs over the end of the address space")
    return Segment(one.offset, one.file_size, one.physical, one.memory_size)


def _pvh_entry(size: int, programs: tuple[_Program, ...], read: Read) -> int | None:
    for name, kind, content in _all_notes(size, programs, read):
        if (name, kind) == (b"Xen\0", _PHYS32_ENTRY) and len(content) in (4, 8):
            return int.from_bytes(content, "little")
    return None


def _all_notes(size: int, programs: tuple[_Program, ...], read: Read) -> Iterator[tuple[bytes, int, bytes]]:
    for one in programs:
        if one.kind == _PT_NOTE and one.offset + one.file_size <= size:
            notes = read(one.offset, min(one.file_size, _MOST_NOTES))
            yield from _notes(notes, 8 if one.alignment == 8 else 4)


def _notes(table: bytes, alignment: int) -> Iterator[tuple[bytes, int, bytes]]:
    """Name and content are padded to the alignment; a note that runs over the end is not one."""
    place = 0
    while place + 12 <= len(table):
        name_size, size, kind = struct.unpack_from("<III", table, place)
        start = align_up(place + 12 + name_size, alignment)
        if start + size > len(table):
            return
        yield table[place + 12 : place + 12 + name_size], kind, table[start : start + size]
        place = align_up(start + size, alignment)
