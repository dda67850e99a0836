"""A label and small files by name in, the bytes of a disk with a VFAT file system that has them out. Pure.

After Microsoft's "FAT: General Overview of On-Disk Format" 1.03: FAT12, of which every system reads long names. The
same files give the same bytes: no time and no number that moves is in it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

SECTOR = 512
_ENTRIES = 512  # of the root directory
_RESERVED, _FATS = 1, 1
_MOST_CLUSTERS = 4084  # with one more it is FAT16
_LONG, _VOLUME, _ARCHIVE, _READ_ONLY = 0x0F, 0x08, 0x20, 0x01
_END = 0xFFF
_NEXT = b"\xcd\x18\xf4\xeb\xfd"  # int 0x18, by which a BIOS tries the next disk; hlt, for ever
_DATE = (1980 - 1980) << 9 | 1 << 5 | 1  # the first day that there is


def vfat(label: str, files: Mapping[str, bytes]) -> bytes:
    """ValueError: they do not fit, or a name is none. Names are of the root directory, and differ in their first six
    characters or in their order only."""
    size = _cluster_size(files)
    data, places = bytearray(), {}
    fat = [0xFF8, _END]
    for name, content in files.items():
        count = -(-len(content) // size)
        places[name] = len(fat) if count else 0
        fat += [*range(len(fat) + 1, len(fat) + count), _END] if count else []
        data += content.ljust(count * size, b"\0")
    table, root = _packed(fat), _root(label, files, places)
    sectors = _RESERVED + (len(table) + len(root) + len(data)) // SECTOR
    return _boot_sector(label, size, len(table) // SECTOR, sectors) + table + root + bytes(data)


def _cluster_size(files: Mapping[str, bytes]) -> int:
    """The smallest with which there are few enough."""
    sizes = (SECTOR << shift for shift in range(8))
    fitting = (one for one in sizes if sum(-(-len(file) // one) for file in files.values()) <= _MOST_CLUSTERS)
    found = next(fitting, None)
    if found is None:
        raise ValueError("the files do not fit into a small disk")
    return found


def _boot_sector(label: str, cluster: int, fat_sectors: int, sectors: int) -> bytes:
    """The number of the volume is made of nothing: who looks for the disk goes by its label."""
    small = sectors if sectors < 1 << 16 else 0
    head = struct.pack(
        "<3s8sHBHBHHBHHHIIBBBI11s8s",
        b"\xeb\x3c\x90", b"VMLAUNCH", SECTOR, cluster // SECTOR, _RESERVED, _FATS, _ENTRIES, small, 0xF8, fat_sectors,
        32, 64, 0, 0 if small else sectors, 0x80, 0, 0x29, 0x564D4C41, _padded(label, 11), b"FAT12   ",
    )  # fmt: skip
    return (head + _NEXT).ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def _packed(fat: list[int]) -> bytes:
    """Two entries of 12 bits in three bytes."""
    even = [*fat, *([0] if len(fat) % 2 else [])]
    pairs = (low | high << 12 for low, high in zip(even[::2], even[1::2], strict=True))
    return _whole(b"".join(pair.to_bytes(3, "little") for pair in pairs))


def _whole(data: bytes) -> bytes:
    return data.ljust(-(-len(data) // SECTOR) * SECTOR, b"\0")


def _root(label: str, files: Mapping[str, bytes], places: Mapping[str, int]) -> bytes:
    entries = [_entry(_padded(label, 11), _VOLUME, 0, 0)]
    for number, (name, content) in enumerate(files.items(), 1):
        short = _short(name, number)
        entries += [*_long_name(name, short), _entry(short, _ARCHIVE | _READ_ONLY, places[name], len(content))]
    if len(entries) > _ENTRIES:
        raise ValueError("too many files for a small disk")
    return b"".join(entries).ljust(_ENTRIES * 32, b"\0")


def _entry(short: bytes, attributes: int, cluster: int, size: int) -> bytes:
    return struct.pack("<11sBBBHHHHHHHI", short, attributes, 0, 0, 0, _DATE, _DATE, 0, 0, _DATE, cluster, size)


def _short(name: str, number: int) -> bytes:
    """What those read that know no long names: `USER-D~1`."""
    base = "".join(one for one in name.upper() if one.isalnum() or one == "-")
    return _padded(f"{base[:6]}~{number}", 8) + b"   "


def _long_name(name: str, short: bytes) -> Iterator[bytes]:
    """Thirteen characters in each entry, the last part first."""
    if not name or len(name) > 255 or "/" in name:
        raise ValueError(f"{name!r} is no name of a file")
    units = name.encode("utf-16-le")
    padded = units if len(units) % 26 == 0 else (units + b"\0\0").ljust(-(-(len(units) + 2) // 26) * 26, b"\xff")
    parts, check = [padded[at : at + 26] for at in range(0, len(padded), 26)], _checksum(short)
    for number in range(len(parts), 0, -1):
        part, last = parts[number - 1], 0x40 if number == len(parts) else 0
        yield struct.pack("<B10sBBB12sH4s", number | last, part[:10], _LONG, 0, check, part[10:22], 0, part[22:])


def _checksum(short: bytes) -> int:
    found = 0
    for byte in short:
        found = ((found & 1) << 7 | found >> 1) + byte & 0xFF
    return found


def _padded(text: str, length: int) -> bytes:
    """ValueError: it does not fit, or is no plain text."""
    raw = text.encode("ascii")
    if len(raw) > length:
        raise ValueError(f"{text} is longer than {length} characters")
    return raw.ljust(length)
