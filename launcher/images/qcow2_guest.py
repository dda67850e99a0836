"""A qcow2 image in, the first bytes of its guest's disk out. Pure; bounded reads."""

from __future__ import annotations

import struct

from launcher.images.qcow2 import SUBCLUSTERS, head_of, more_of
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.images.qcow2 import Read

_HEADER = 112
_MOST = 1 << 16
_PACKED, _ZEROS, _OFFSET = 1 << 62, 1, 0x00FF_FFFF_FFFF_FE00


def guest_reader(size: int, read: Read) -> Read:
    """For the first bytes of the disk: what a guest reads, up to what is compressed, or is not in this image. Nothing
    of one with extended L2 entries, and of one whose header has become another since it was looked at."""
    start = read(0, _HEADER)
    head, longest = head_of(start), _MOST
    if more_of(start).features & SUBCLUSTERS or not 9 <= head.cluster_bits <= 21:
        return lambda *_: b""
    cluster = 1 << head.cluster_bits

    def piece(offset: int) -> bytes:
        index, within = divmod(offset, cluster)
        second, first = index % (cluster // 8), index // (cluster // 8)
        table = _place(read(head.l1_at + 8 * first, 8)) if first < head.l1_size else 0
        place = _place(read(table + 8 * second, 8)) if table else table
        if place == 0 and not head.backing_at:
            return bytes(min(cluster - within, longest))
        return read(place + within, cluster - within) if place and 0 < place < size else b""

    def guest(offset: int, length: int) -> bytes:
        pieces, end = bytearray(), min(offset + length, offset + longest, head.size)
        while (at := offset + len(pieces)) < end and (new := piece(at)):
            pieces += new[: end - at]
        return bytes(pieces)

    return guest


def _place(entry: bytes) -> int | None:
    """Of an entry of both tables: where its cluster is; 0: nowhere, or it reads as zeros wherever it is. None: it is
    compressed, or not to be read."""
    (value,) = struct.unpack(">Q", entry) if len(entry) == 8 else (_PACKED,)
    return None if value & _PACKED else 0 if value & _ZEROS else value & _OFFSET
