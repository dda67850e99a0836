"""ELF files by their parts, so that each part can lie."""

from __future__ import annotations

import struct
from dataclasses import dataclass

PT_LOAD, PT_NOTE = 1, 4


@dataclass(frozen=True)
class Part:
    """One loaded segment: content at a guest address; `claims` replaces its true file size."""

    guest: int
    content: bytes
    memory_size: int | None = None
    claims: int | None = None
    offset: int | None = None


def note(entry: int, name: bytes = b"Xen\0", kind: int = 18, width: int = 8) -> bytes:
    return struct.pack("<III", len(name), width, kind) + name + entry.to_bytes(width, "little")


def elf64(parts: list[Part], notes: bytes = b"", machine: int = 62, count: int | None = None) -> bytes:
    headers = 64 + 56 * (len(parts) + 1)
    table = struct.pack("<IIQQQQQQ", PT_NOTE, 4, headers, 0, 0, len(notes), len(notes), 4)
    body = notes
    for part in parts:
        offset = headers + len(body) if part.offset is None else part.offset
        size = len(part.content) if part.claims is None else part.claims
        memory = size if part.memory_size is None else part.memory_size
        table += struct.pack("<IIQQQQQQ", PT_LOAD, 5, offset, 0, part.guest, size, memory, 4096)
        body += part.content
    number = len(parts) + 1 if count is None else count
    head = struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, number, 0, 0, 0)
    return b"\x7fELF\x02\x01\x01" + bytes(9) + head + table + body


def elf32(parts: list[Part], notes: bytes = b"") -> bytes:
    headers = 52 + 32 * (len(parts) + 1)
    table = struct.pack("<IIIIIIII", PT_NOTE, headers, 0, 0, len(notes), len(notes), 4, 4)
    body = notes
    for part in parts:
        size = len(part.content)
        fields = (PT_LOAD, headers + len(body), 0, part.guest, size, part.memory_size or size, 5, 4096)
        table += struct.pack("<IIIIIIII", *fields)
        body += part.content
    head = struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, 0, 52, 0, 0, 52, 32, len(parts) + 1, 0, 0, 0)
    return b"\x7fELF\x01\x01\x01" + bytes(9) + head + table + body


def pvh(guest: int = 0x100000, content: bytes = b"\xf4" * 64) -> bytes:
    """A kernel as it should be."""
    return elf64([Part(guest, content)], note(guest))
