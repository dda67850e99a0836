"""The first bytes of a qcow2 image in, what its header says out. Pure; one bounded read, and never raises.

After docs/interop/qcow2.txt of QEMU. A header that cannot be true says so in `problem`; what it points to is not read.
"""

from __future__ import annotations

import struct

from launcher.images.disk_files import Qcow2
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Read = Callable[[int, int], bytes]

MAGIC = b"QFI\xfb"
_HEAD = struct.Struct(">IIQIIQIIQQIIQ")
_MORE = struct.Struct(">QQQII")  # of version 3, behind that
_MORE_AT, _SHORT, _LONG = 72, 72, 104
_MOST = 1 << 16  # of the first cluster, as far as names and extensions stand in it
_MOST_NAME = 1023
_MOST_EXTENSIONS = 64
_BACKING_FORMAT, _FEATURE_NAMES = 0xE2792ACA, 0x6803F857
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _SUBCLUSTERS = 1, 2, 4, 8, 16
_KNOWN = _DIRTY | _CORRUPT | _DATA_FILE | _COMPRESSION | _SUBCLUSTERS
_INCOMPATIBLE = 0  # the kind of feature that a row of the table of names is about
_LARGEST = 1 << 63
# What QEMU opens at most: bytes of both tables (QCOW_MAX_REFTABLE_SIZE, QCOW_MAX_L1_SIZE), QCOW_MAX_SNAPSHOTS.
_MOST_COUNTS, _MOST_TABLE, _MOST_SNAPSHOTS = 8 << 20, 32 << 20, 65536
_PACKED, _ZEROS, _OFFSET = 1 << 62, 1, 0x00FF_FFFF_FFFF_FE00


class _Head(NamedTuple):
    magic: int
    version: int
    backing_at: int
    backing_size: int
    cluster_bits: int
    size: int
    encryption: int
    l1_size: int
    l1_at: int
    refcounts_at: int
    refcount_clusters: int
    snapshots: int
    snapshots_at: int


def parse_qcow2(size: int, read: Read) -> Qcow2:
    """`size` is that of the file; `read(offset, length)` gives fewer bytes behind its end."""
    start = read(0, _MOST)
    if len(start) < _SHORT:
        return Qcow2(0, problem="is cut off within its header")
    head = _Head(*_HEAD.unpack_from(start))
    if head.version not in (2, 3):
        return Qcow2(head.version, problem=f"has version {head.version}, and there are 2 and 3")
    features, order, length = 0, 4, _SHORT
    if head.version == 3:
        if len(start) < _LONG:
            return Qcow2(3, problem="is cut off within its header")
        features, _, _, order, length = _MORE.unpack_from(start, _MORE_AT)
    problem = _problem(head, size, order, length)
    if problem:
        return Qcow2(head.version, problem=problem)
    end = min(len(start), head.backing_at or 1 << head.cluster_bits)
    extensions = dict(_extensions(start[:end], length))
    return Qcow2(
        version=head.version,
        virtual_size=head.size,
        backing=_text(start[head.backing_at : head.backing_at + head.backing_size]) if head.backing_at else None,
        backing_format=_text(extensions[_BACKING_FORMAT]) if _BACKING_FORMAT in extensions else None,
        data_file=bool(features & _DATA_FILE),
        encrypted=head.encryption != 0,
        dirty=bool(features & _DIRTY),
        corrupt=bool(features & _CORRUPT),
        unknown=tuple(_unknown(features & ~_KNOWN, extensions.get(_FEATURE_NAMES, b""))),
    )


def guest_reader(size: int, read: Read) -> Read:
    """For the first bytes of the disk: what a guest reads, up to what is compressed, or is not in this image. Nothing
    of one with extended L2 entries, and of one whose header has become another since it was looked at."""
    start = read(0, _MORE_AT + _MORE.size)
    head, longest = _Head(*_HEAD.unpack_from(start.ljust(_SHORT, b"\0"))), _MOST
    extended = head.version == 3 and bool(_MORE.unpack_from(start.ljust(_LONG, b"\0"), _MORE_AT)[0] & _SUBCLUSTERS)
    if extended or not 9 <= head.cluster_bits <= 21:
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


def _problem(head: _Head, size: int, order: int, length: int) -> str:
    if not 9 <= head.cluster_bits <= 21:
        return f"says that its clusters have 2^{head.cluster_bits} bytes"
    cluster = 1 << head.cluster_bits
    tables = head.l1_at | head.refcounts_at | (head.snapshots_at if head.snapshots else 0)
    counts, entries = head.refcount_clusters, head.l1_size
    checks = (
        (head.version == 3 and not _LONG <= length <= cluster, f"says that its header has {length} bytes"),
        (order > 6, f"says that its reference counts have 2^{order} bits"),
        (head.size >= _LARGEST, f"says that its disk has {head.size} bytes"),
        (head.backing_at > 0 and head.backing_size > _MOST_NAME, f"names a backing file by {head.backing_size} bytes"),
        (_is_outside(head, cluster), "has the name of its backing file outside of its first cluster"),
        (bool(tables % cluster), "has tables that do not begin at a cluster"),
        (counts == 0, "has no table of reference counts"),
        (counts * cluster > _MOST_COUNTS, f"says that its table of reference counts has {counts} clusters"),
        (8 * entries > _MOST_TABLE, f"says that its table of clusters has {entries} entries"),
        (head.snapshots > _MOST_SNAPSHOTS, f"says that it has {head.snapshots} snapshots"),
        (entries < _entries(head.size, head.cluster_bits), "has too small a table for its size"),
        (entries > 0 and head.l1_at == 0, "has its table of clusters in its header"),
        (head.refcounts_at == 0, "has its reference counts in its header"),
        (head.l1_at + 8 * entries > size, "is cut off: its table of clusters is behind its end"),
        (head.refcounts_at >= size, "is cut off: its reference counts are behind its end"),
    )
    return next((words for wrong, words in checks if wrong), "")


def _is_outside(head: _Head, cluster: int) -> bool:
    return bool(head.backing_at) and head.backing_at + head.backing_size > min(cluster, _MOST)


def _entries(size: int, cluster_bits: int) -> int:
    """Of the L1 table: each is for an L2 table, a cluster of 8 bytes for each cluster."""
    return -(-size >> (2 * cluster_bits - 3)) if size else 0


def _extensions(start: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    for _ in range(_MOST_EXTENSIONS):
        if at + 8 > len(start):
            return
        kind, length = struct.unpack_from(">II", start, at)
        if kind == 0 or at + 8 + length > len(start):
            return
        yield kind, start[at + 8 : at + 8 + length]
        at += 8 + (length + 7 & ~7)


def _unknown(features: int, names: bytes) -> Iterator[str]:
    """Of features that are not ours to know, the names that the image brings along."""
    rows = (names[at : at + 48] for at in range(0, len(names) - 47, 48))
    known = {row[1]: _text(row[2:].rstrip(b"\0")) for row in rows if row[0] == _INCOMPATIBLE}
    yield from (known.get(bit) or f"bit {bit}" for bit in range(64) if features >> bit & 1)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
