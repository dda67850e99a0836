"""Where a qcow2 image has its lists of snapshots and bitmaps in, what is wrong with them out. Pure; bounded reads.

QEMU reads both when it opens the image, and does not open it if one of them is broken. Behind the end of a file it
reads zeros.
"""

from __future__ import annotations

import struct

from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    Read = Callable[[int, int], bytes]

_SNAPSHOT = struct.Struct(">QIHHIIQII")
_MOST_EXTRA = 1024  # QCOW_MAX_SNAPSHOT_EXTRA_DATA
_MOST_SNAPSHOTS_BYTES = 1024 * 65536  # QCOW_MAX_SNAPSHOTS_SIZE
_PLACE = struct.Struct(">IIQQ")
_BITMAP = struct.Struct(">QIIBBHI")
_MOST_BITMAPS, _MOST_PLACE = 65535, 1024 * 65535  # QCOW2_MAX_BITMAPS, QCOW2_MAX_BITMAP_DIRECTORY_SIZE
_IN_USE, _KNOWN_FLAGS, _TRACKING = 1, 3, 1
_MOST_NAME, _MOST_BYTES = 1023, 1 << 29  # BME_MAX_NAME_SIZE, BME_MAX_PHYS_SIZE
_ONES, _OFFSET = 1, 0x00FF_FFFF_FFFF_FE00
_RESERVED = ~(_ONES | _OFFSET) & (1 << 64) - 1
_MOST_ENTRIES = 1 << 16  # of all tables together: of larger ones it is the engine that says what is wrong
_LARGEST = 1 << 63


def problem_of_snapshots(at: int, count: int, size: int, read: Read) -> str:
    begin = at
    for _ in range(count):
        at = at + 7 & ~7
        *_, id_, name, _, _, _, _, extra = _SNAPSHOT.unpack(_whole(read, at, _SNAPSHOT.size))
        at += _SNAPSHOT.size + extra + id_ + name
        if extra > _MOST_EXTRA:
            return f"has a snapshot with {extra} bytes of what is not known"
        if at - begin > _MOST_SNAPSHOTS_BYTES:
            return f"has a list of snapshots with more than {_MOST_SNAPSHOTS_BYTES} bytes"
        if at > size:
            return "is cut off: its snapshots are behind its end"
    return ""


def _length(rest: int) -> int:
    return _BITMAP.size + rest + 7 & ~7


class _Bitmap(NamedTuple):
    table_at: int
    entries: int
    flags: int
    kind: int
    granularity_bits: int
    name_size: int
    extra: int

    @property
    def length(self) -> int:
        return _length(self.name_size + self.extra)


def problem_of_bitmaps(place: bytes, cluster_bits: int, disk: int, read: Read) -> str:
    """`place` is the extension of the header that says where they are; `disk` is the size of the guest's disk."""
    count, reserved, length, at = _PLACE.unpack(place)
    if reserved or not 0 < count <= _MOST_BITMAPS:
        return f"says that it has {count} bitmaps"
    if at % (1 << cluster_bits) or not 0 < length <= _MOST_PLACE or at + length >= _LARGEST:
        return "has a list of bitmaps that is nowhere"
    left, names, end = _MOST_ENTRIES, set[bytes](), at + length
    for _ in range(count):
        one = _Bitmap(*_BITMAP.unpack(_whole(read, at, _BITMAP.size)))
        if at + one.length > end or not 9 <= one.granularity_bits <= 31 or _is_wrong(one, cluster_bits, disk):
            return "has a list of bitmaps that is broken"
        name = read(at + _BITMAP.size, one.name_size).split(b"\0", 1)[0]
        if not one.flags & _IN_USE:
            left -= one.entries
            short = _length(len(name)) != one.length  # QEMU writes the list again, where it was
            if short or name in names or (left >= 0 and _is_torn(one, cluster_bits, read)):
                return "has a bitmap that is broken"
        names.add(name)
        at += one.length
    return "" if at == end else "has a list of bitmaps that is broken"


def _is_wrong(one: _Bitmap, cluster_bits: int, disk: int) -> bool:
    """One in use is not looked into: whoever had it died, or the disk has another size by now."""
    bits = -(-disk >> one.granularity_bits)
    entries = one.entries if one.flags & _IN_USE else -(-8 * -(-bits // 64) >> cluster_bits)
    return (
        bool(one.extra or one.flags & ~_KNOWN_FLAGS or one.table_at % (1 << cluster_bits))
        or not (one.entries and one.table_at and one.kind == _TRACKING)
        or one.name_size > _MOST_NAME
        or one.entries != entries
        or one.entries << cluster_bits > _MOST_BYTES
        or one.table_at + 8 * one.entries >= _LARGEST
    )


def _is_torn(one: _Bitmap, cluster_bits: int, read: Read) -> bool:
    """Its table leads to where no cluster is."""
    table = struct.unpack(f">{one.entries}Q", _whole(read, one.table_at, 8 * one.entries))
    wrong = (1 << cluster_bits) - 1 & _OFFSET
    return any(entry & (_RESERVED | wrong) or (entry & _OFFSET and entry & _ONES) for entry in table)


def _whole(read: Read, at: int, length: int) -> bytes:
    return read(at, length).ljust(length, b"\0")
