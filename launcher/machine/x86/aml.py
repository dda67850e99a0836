"""ACPI machine language: named objects in, bytes out (ACPI 6.4, chapter 20). Only what our DSDT needs. Pure."""

from __future__ import annotations

import struct

ZERO, ONE, ONES = b"\x00", b"\x01", b"\xff"


def package_length(content: bytes) -> bytes:
    """PkgLength of what follows, itself included (20.2.4)."""
    if len(content) + 1 < 0x40:
        return bytes([len(content) + 1])
    for extra in (1, 2, 3):
        total = len(content) + 1 + extra
        if total < 1 << (4 + 8 * extra):
            return bytes([extra << 6 | total & 0xF]) + (total >> 4).to_bytes(extra, "little")
    raise ValueError(f"{len(content)} bytes do not fit into one package")


def name_path(path: str) -> bytes:
    """`\\_SB_.PCI0`: a root mark and segments of four characters."""
    root, segments = path.startswith("\\"), path.lstrip("\\").split(".")
    raw = b"".join(segment.ljust(4, "_").encode() for segment in segments if segment)
    count = len(raw) // 4
    prefix = {0: b"\x00", 1: b"", 2: b"\x2e"}.get(count, b"\x2f" + bytes([count]))
    return (b"\\" if root else b"") + prefix + raw


def integer(value: int) -> bytes:
    if value in (0, 1):
        return bytes([value])
    for code, size in ((0x0A, 1), (0x0B, 2), (0x0C, 4), (0x0E, 8)):
        if value < 1 << 8 * size:
            return bytes([code]) + value.to_bytes(size, "little")
    raise ValueError(f"{value:#x} is wider than 64 bits")


def string(text: str) -> bytes:
    return b"\x0d" + text.encode("ascii") + b"\x00"


def buffer(data: bytes) -> bytes:
    content = integer(len(data)) + data
    return b"\x11" + package_length(content) + content


def package(*items: bytes) -> bytes:
    content = bytes([len(items)]) + b"".join(items)
    return b"\x12" + package_length(content) + content


def name(path: str, value: bytes) -> bytes:
    return b"\x08" + name_path(path) + value


def scope(path: str, *objects: bytes) -> bytes:
    content = name_path(path) + b"".join(objects)
    return b"\x10" + package_length(content) + content


def device(path: str, *objects: bytes) -> bytes:
    content = name_path(path) + b"".join(objects)
    return b"\x5b\x82" + package_length(content) + content


def eisa_id(text: str) -> bytes:
    """`PNP0A08` as its compressed integer (19.6.37)."""
    letters = [ord(letter) - 0x40 for letter in text[:3]]
    high = letters[0] << 10 | letters[1] << 5 | letters[2]
    return integer(int.from_bytes(struct.pack(">HH", high, int(text[3:], 16)), "little"))


# -- resource descriptors (6.4) ------------------------------------------------------------------------------------


def resources(*descriptors: bytes) -> bytes:
    """A resource template: descriptors and the end tag, whose checksum may be 0."""
    return buffer(b"".join(descriptors) + b"\x79\x00")


def io_ports(start: int, size: int) -> bytes:
    """Fixed, decoded with 16 bits."""
    return struct.pack("<BBHHBB", 0x47, 0x01, start, start, 1, size)


def interrupt_line(number: int) -> bytes:
    """IRQ descriptor: edge-triggered, active high, exclusive."""
    return struct.pack("<BHB", 0x23, 1 << number, 0x01)


def fixed_memory(start: int, size: int) -> bytes:
    return struct.pack("<BHBII", 0x86, 9, 1, start, size)


def bus_numbers(first: int, last: int) -> bytes:
    return struct.pack("<BHBBBHHHHH", 0x88, 13, 2, 0x0C, 0, 0, first, last, 0, last - first + 1)


def port_window(first: int, last: int) -> bytes:
    return struct.pack("<BHBBBHHHHH", 0x88, 13, 1, 0x0C, 0x03, 0, first, last, 0, last - first + 1)


def memory_window_32(first: int, last: int) -> bytes:
    """Not cached, read and write."""
    return struct.pack("<BHBBBIIIII", 0x87, 23, 0, 0x0C, 0x01, 0, first, last, 0, last - first + 1)


def memory_window_64(first: int, last: int) -> bytes:
    """Cacheable and prefetchable, as 64-bit BARs of devices want it."""
    return struct.pack("<BHBBBQQQQQ", 0x8A, 43, 0, 0x0C, 0x07, 0, first, last, 0, last - first + 1)
