"""A unified kernel image in; the kernel in it, its initial RAM disk and its command line out. Pure, by bounded reads.

It is an EFI program whose sections are these (UAPI group, Unified Kernel Image; Microsoft, PE Format). The stub that
would unpack them under UEFI is not run: they are loaded from where they lie in the file.
"""

from __future__ import annotations

import struct

from launcher.images.boot_files import Inside, Part, Segment
from launcher.images.bzimage import is_linux, parse_bzimage
from launcher.images.elf import Lies
from launcher.record import record
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

LINUX, INITRD, CMDLINE, PROFILE = b".linux", b".initrd", b".cmdline", b".profile"
_X86_64 = 0x8664
_MOST_SECTIONS = 96  # of a Windows loader; systemd's stub has about ten
_MOST_CMDLINE = 2047  # COMMAND_LINE_SIZE of x86 Linux, without the NUL
_MOST_TEXT = 1 << 16  # of the section that it is in: padded, and with what systemd's stub would not take
_HEAD = 0x1000  # of the kernel, as signature.py reads it


@record
class Uki:
    """`segments` of the kernel by their place in the whole file."""

    entry: int
    segment: Segment
    initrd_max: int
    linux: bool
    inside: Inside


def parse_uki(size: int, read: Read) -> Uki:
    """Lies, with the reason, where no kernel of it can be started."""
    sections = _first_of_each(_sections(read))
    linux = _part(LINUX, sections, size)
    if linux is None:
        raise Lies("a unified kernel image without a kernel (section .linux)")
    cmdline, initrd = _part(CMDLINE, sections, size), _part(INITRD, sections, size)

    def of_kernel(offset: int, length: int) -> bytes:
        return read(linux.offset + offset, max(min(length, linux.size - offset), 0))

    head = of_kernel(0, _HEAD)
    if head[0x1FE:0x200] != b"\x55\xaa" or head[0x202:0x206] != b"HdrS":
        raise Lies("a unified kernel image whose kernel (section .linux) is no bzImage")
    found = parse_bzimage(linux.size, head)
    segment = Segment(linux.offset + found.segment.offset, *_rest(found.segment))
    inside = Inside(linux.offset, initrd, _text(cmdline, read) if cmdline else "")
    return Uki(found.entry, segment, found.initrd_max, is_linux(head, of_kernel), inside)


def _rest(one: Segment) -> tuple[int, int, int]:
    return one.file_size, one.guest, one.memory_size


def _sections(read: Read) -> Iterator[tuple[bytes, Part]]:
    """Name and place, in the order of the table. What is in memory and not in the file is zeros, and no part of it."""
    start = read(0, 0x40)
    (place,) = struct.unpack_from("<I", start, 0x3C) if len(start) == 0x40 else (0,)
    header = read(place, 24)
    if len(header) < 24 or header[:4] != b"PE\0\0" or struct.unpack_from("<H", header, 4)[0] != _X86_64:
        raise Lies("a unified kernel image for another machine than x86-64")
    (count,), (optional,) = struct.unpack_from("<H", header, 6), struct.unpack_from("<H", header, 20)
    table = read(place + 24 + optional, min(count, _MOST_SECTIONS) * 40)
    for at in range(0, len(table) - 39, 40):
        in_memory, _, in_file, offset = struct.unpack_from("<IIII", table, at + 8)
        yield table[at : at + 8].rstrip(b"\0"), Part(offset, min(in_memory, in_file) or in_file)


def _first_of_each(sections: Iterator[tuple[bytes, Part]]) -> dict[bytes, Part]:
    """Those before the first profile: what is common to all of them, and what starts where none is chosen."""
    found: dict[bytes, Part] = {}
    for name, part in sections:
        if name == PROFILE:
            break
        found.setdefault(name, part)
    return found


def _part(name: bytes, sections: dict[bytes, Part], size: int) -> Part | None:
    """None for one that is not there, or has nothing in it."""
    found = sections.get(name)
    if found is not None and found.offset + found.size > size:
        raise Lies(f"a unified kernel image that is cut off: its section {name.decode()} ends behind the file")
    return found if found and found.size else None


def _text(part: Part, read: Read) -> str:
    """One line, as the kernel takes it. systemd's ukify ends it with NUL or a newline."""
    if part.size > _MOST_TEXT:
        raise Lies("a unified kernel image whose command line (section .cmdline) is too long")
    try:
        text = read(part.offset, part.size).partition(b"\0")[0].decode().strip()
    except UnicodeDecodeError:
        raise Lies("a unified kernel image whose command line (section .cmdline) is no text") from None
    line = " ".join(text.split("\n"))
    if len(line.encode()) > _MOST_CMDLINE or not line.isprintable():
        raise Lies("a unified kernel image whose command line (section .cmdline) is too long, or is no line of text")
    return line
