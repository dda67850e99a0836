"""Configuration space in, its capabilities out: bounded walks over what any device may say. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.row import NamedTuple

POWER, VPD, MSI, VENDOR, EXPRESS, MSIX, ADVANCED = 0x01, 0x03, 0x05, 0x09, 0x10, 0x11, 0x13
TRANSLATIONS = 0x0F  # Address Translation Services, an extended one
HEADER, EXTENDED = 0x40, 0x100  # where capabilities of either kind begin
LIST_POINTER = 0x34
_MOST = 48  # of 4 bytes each between 0x40 and 0x100
_MOST_EXTENDED = (0x1000 - EXTENDED) // 8


class Capability(NamedTuple):
    id: int
    offset: int


def word(image: bytes, offset: int, size: int = 2) -> int:
    """A little-endian number; bytes behind the end of the image count as zero."""
    return int.from_bytes(image[offset : offset + size], "little")


def capabilities(image: bytes) -> Iterator[Capability]:
    """The list of PCI Local Bus 3.0, 6.7. A list that turns back on itself ends there."""
    has_list = image[0x06] & 0x10
    offset, seen = image[LIST_POINTER] & 0xFC if has_list else 0, set[int]()
    while HEADER <= offset < len(image) - 1 and offset not in seen and len(seen) < _MOST:
        seen.add(offset)
        yield Capability(image[offset], offset)
        offset = image[offset + 1] & 0xFC


def extended(image: bytes) -> Iterator[Capability]:
    """The list of PCI Express 5.0, 7.6.3: id in bits 15:0, version in 19:16, the next one's offset in 31:20."""
    offset, seen = EXTENDED, set[int]()
    while offset >= EXTENDED and offset + 4 <= len(image) and offset not in seen and len(seen) < _MOST_EXTENDED:
        header = word(image, offset, 4)
        if header in (0, 0xFFFFFFFF):
            return
        seen.add(offset)
        yield Capability(header & 0xFFFF, offset)
        offset = header >> 20 & 0xFFC
