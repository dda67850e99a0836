"""The first sectors of a disk, through its format, in; which firmware would find a boot loader there, out. Pure.

Bounded reads, and never raises. A GUID partition table is that of UEFI 2.10, 5.3; types of partitions are those of
5.2.2 and 5.3.3; El Torito's record is that of its specification 1.0, 2.0.
"""

from __future__ import annotations

import struct
from uuid import UUID

from launcher.typed import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]
    Kind = Literal["bios", "uefi"]

_SECTOR = 512
_CODE = 440  # bytes of a boot sector before the table of partitions and what identifies the disk
_FAT = {0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E, 0xEF}  # types of partitions that UEFI looks for loaders in
_SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").bytes_le  # EFI system partition
_MOST_ENTRIES = 128
_EL_TORITO = (0x8801, b"CD001\x01EL TORITO SPECIFICATION")


def boots_of(read: Read) -> tuple[Kind, ...]:
    """`read(offset, length)` gives what a guest would read there."""
    offset, sign = _EL_TORITO
    if read(offset, len(sign)) == sign:
        return ("bios", "uefi")
    sector = read(0, _SECTOR)
    if len(sector) < _SECTOR or sector[510:] != b"\x55\xaa":
        return ()
    found: list[Kind] = ["bios"] if any(sector[:_CODE]) else []
    types = {sector[at + 4] for at in range(446, 510, 16)}
    if types & _FAT or _is_fat(sector) or any(_has_system(read, size) for size in (512, 4096)):
        found.append("uefi")
    return tuple(found)


def _is_fat(sector: bytes) -> bool:
    """A file system without a table of partitions."""
    return sector[54:57] == b"FAT" or sector[82:87] == b"FAT32"


def _has_system(read: Read, sector: int) -> bool:
    header = read(sector, 92)
    if len(header) < 92 or header[:8] != b"EFI PART":
        return False
    (start,), (count, size) = struct.unpack_from("<Q", header, 72), struct.unpack_from("<II", header, 80)
    if not 128 <= size <= 4096 or start >= 1 << 40:
        return False
    table = read(start * sector, min(count, _MOST_ENTRIES) * size)
    return any(table[at : at + 16] == _SYSTEM for at in range(0, len(table), size))
