"""The first cluster of a qcow2 image in, what its header says out. Pure; bounded reads, and never raises.

After docs/interop/qcow2.txt of QEMU. A header that cannot be true says so in `problem`. Of what it points to, only the
lists of snapshots and bitmaps are read (qcow2_lists.py), as QEMU reads them before it serves anything.
"""

from __future__ import annotations

import struct
from itertools import pairwise

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
_MOST = 1 << 16  # read at once: the first cluster of nearly every image
_MOST_NAME, _MOST_FORMAT = 1023, 15
_BACKING_FORMAT, _FEATURE_NAMES, _BITMAPS, _KEYS = 0xE2792ACA, 0x6803F857, 0x23852875, 0x0537BE77
_BITMAPS_LENGTH = 24
_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, SUBCLUSTERS = 1, 2, 4, 8, 16
_KNOWN = _DIRTY | _CORRUPT | _DATA_FILE | _COMPRESSION | SUBCLUSTERS
_BITMAPS_HOLD, _DATA_FILE_RAW = 1, 2  # of the features that a program clears that does not know them
_ZLIB, _KNOWN_COMPRESSIONS = 0, frozenset({0, 1})
_INCOMPATIBLE = 0  # the kind of feature that a row of the table of names is about
_LARGEST = 1 << 63
_LEAST_WITH_PARTS = 14  # bits of a cluster whose 32 parts have a sector each
# What QEMU opens at most: bytes of both tables (QCOW_MAX_REFTABLE_SIZE, QCOW_MAX_L1_SIZE), QCOW_MAX_SNAPSHOTS.
_MOST_COUNTS, _MOST_TABLE, _MOST_SNAPSHOTS = 8 << 20, 32 << 20, 65536
_SNAPSHOT = 40  # the least that one takes


class Head(NamedTuple):
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


class More(NamedTuple):
    """`compression` is one byte behind the length, of headers that are long enough for it."""

    features: int = 0
    compatible: int = 0
    autoclear: int = 0
    order: int = 4
    length: int = _SHORT
    compression: int = _ZLIB


def parse_qcow2(size: int, read: Read) -> Qcow2:
    """`size` is that of the file; `read(offset, length)` gives fewer bytes behind its end."""
    start = read(0, _MOST)
    if len(start) < _SHORT:
        return Qcow2(0, problem="is cut off within its header")
    head = head_of(start)
    if head.version not in (2, 3):
        return Qcow2(head.version, problem=f"has version {head.version}, and there are 2 and 3")
    if head.version == 3 and len(start) < _LONG:
        return Qcow2(3, problem="is cut off within its header")
    more = more_of(start)
    if problem := _problem(head, more, size):
        return Qcow2(head.version, problem=problem)
    if 1 << head.cluster_bits > _MOST:
        start = read(0, 1 << head.cluster_bits)
    extensions = _extensions(start[: head.backing_at or 1 << head.cluster_bits], more.length)
    problem = _problem_of(extensions, head)
    known = dict(extensions or ())
    if not more.autoclear & _BITMAPS_HOLD:
        known.pop(_BITMAPS, None)  # somebody has written since who did not know them: nobody reads them
    if problem := problem or _problem_of_places(head, known) or _problem_of_lists(head, known, size, read):
        return Qcow2(head.version, problem=problem)
    return _described(head, more, known, start)


def head_of(start: bytes) -> Head:
    return Head(*_HEAD.unpack_from(start.ljust(_SHORT, b"\0")))


def more_of(start: bytes) -> More:
    """Of version 2 there is no more."""
    if head_of(start).version != 3:
        return More()
    start = start.ljust(_LONG + 1, b"\0")
    features, compatible, autoclear, order, length = _MORE.unpack_from(start, _MORE_AT)
    compression = start[_LONG] if length > _LONG else _ZLIB
    return More(features, compatible, autoclear, order, length, compression)


def _described(head: Head, more: More, extensions: dict[int, bytes], start: bytes) -> Qcow2:
    name = start[head.backing_at : head.backing_at + head.backing_size]
    return Qcow2(
        version=head.version,
        virtual_size=head.size,
        backing=_text(name) if head.backing_at else None,
        backing_format=_text(extensions[_BACKING_FORMAT]) if _BACKING_FORMAT in extensions else None,
        data_file=bool(more.features & _DATA_FILE),
        encrypted=head.encryption != 0,
        dirty=bool(more.features & _DIRTY),
        corrupt=bool(more.features & _CORRUPT),
        unknown=tuple(_unknown(more, extensions.get(_FEATURE_NAMES, b""))),
    )


def _problem(head: Head, more: More, size: int) -> str:
    if not 9 <= head.cluster_bits <= 21:
        return f"says that its clusters have 2^{head.cluster_bits} bytes"
    cluster = 1 << head.cluster_bits
    counts, entries, order = head.refcount_clusters, head.l1_size, more.order
    parts = bool(more.features & SUBCLUSTERS)
    checks = (
        (head.version == 3 and not _LONG <= more.length <= cluster, f"says that its header has {more.length} bytes"),
        *_of_features(head, more),
        (order > 6, f"says that its reference counts have 2^{order} bits"),
        (head.size >= _LARGEST, f"says that its disk has {head.size} bytes"),
        (head.backing_at > 0 and head.backing_size > _MOST_NAME, f"names a backing file by {head.backing_size} bytes"),
        (_is_outside(head, cluster), "has the name of its backing file outside of its first cluster"),
        (
            bool((head.l1_at | head.refcounts_at | head.snapshots_at) % cluster),
            "has tables that do not begin at a cluster",
        ),
        (counts == 0, "has no table of reference counts"),
        (counts * cluster > _MOST_COUNTS, f"says that its table of reference counts has {counts} clusters"),
        (8 * entries > _MOST_TABLE, f"says that its table of clusters has {entries} entries"),
        (head.snapshots > _MOST_SNAPSHOTS, f"says that it has {head.snapshots} snapshots"),
        (entries < _entries(head.size, head.cluster_bits, 4 if parts else 3), "has too small a table for its size"),
        (head.l1_at + 8 * entries > size, "is cut off: its table of clusters is behind its end"),
        (head.refcounts_at >= size, "is cut off: its reference counts are behind its end"),
        (
            _snapshots_end(head) > (size if head.snapshots else _LARGEST - 1),
            "is cut off: its snapshots are behind its end",
        ),
    )
    return next((words for wrong, words in checks if wrong), "")


def _of_features(head: Head, more: More) -> Iterator[tuple[bool, str]]:
    """What one field says, and another does not let be."""
    said, kind = bool(more.features & _COMPRESSION), more.compression
    yield said and kind == _ZLIB, "says that it is not compressed by zlib, and then that it is"
    yield not said and kind != _ZLIB, f"is compressed in way {kind}, and its features do not say that it is not by zlib"
    small = more.features & SUBCLUSTERS and head.cluster_bits < _LEAST_WITH_PARTS
    yield bool(small), f"has clusters of 2^{head.cluster_bits} bytes, which are too small to have parts"
    raw = more.autoclear & _DATA_FILE_RAW and not more.features & _DATA_FILE
    yield bool(raw), "says that its data file is a raw disk, and has none"


def _is_outside(head: Head, cluster: int) -> bool:
    return bool(head.backing_at) and head.backing_at + head.backing_size > cluster


def _snapshots_end(head: Head) -> int:
    return head.snapshots_at + _SNAPSHOT * head.snapshots


def _entries(size: int, cluster_bits: int, entry_bits: int) -> int:
    """Of the L1 table: each is for an L2 table, a cluster of 8 or 16 bytes for each cluster."""
    return -(-size >> (2 * cluster_bits - entry_bits)) if size else 0


def _extensions(header: bytes, at: int) -> list[tuple[int, bytes]] | None:
    """Of `header`, which ends where the name of the backing file begins. None: one of them is longer than that."""
    found = []
    while at < len(header):
        kind, length = struct.unpack_from(">II", header.ljust(at + 8, b"\0"), at)
        at += 8
        if at + length > len(header):
            return None
        if kind == 0:
            break
        found.append((kind, header[at : at + length]))
        at += length + 7 & ~7
    return found


def _problem_of(extensions: list[tuple[int, bytes]] | None, head: Head) -> str:
    if extensions is None:
        return "has an extension of its header that is larger than the header"
    for kind, body in extensions:
        if kind == _BACKING_FORMAT and len(body) > _MOST_FORMAT:
            return f"names the format of its backing file by {len(body)} bytes"
        if kind == _KEYS and head.encryption == 0:
            return "has keys, and is not encrypted"
        if kind == _BITMAPS and len(body) != _BITMAPS_LENGTH:
            return f"says by {len(body)} bytes where its bitmaps are"
    return ""


def _problem_of_places(head: Head, extensions: dict[int, bytes]) -> str:
    """QEMU opens what has its tables one over the other, and stops at the first write into them."""
    bitmaps, bitmaps_at = struct.unpack(">8xQQ", extensions.get(_BITMAPS, bytes(_BITMAPS_LENGTH)))
    places = (
        (0, 1 << head.cluster_bits, "header"),
        (head.l1_at, 8 * head.l1_size, "table of clusters"),
        (head.refcounts_at, head.refcount_clusters << head.cluster_bits, "reference counts"),
        (head.snapshots_at, _SNAPSHOT * head.snapshots, "snapshots"),
        (bitmaps_at, bitmaps, "list of bitmaps"),
    )
    taken = sorted((place for place in places if place[1]), key=lambda place: place[0])
    for (at, length, one), (following, _, other) in pairwise(taken):
        if at + length > following:
            return f"has its {one} and its {other} one over the other"
    return ""


def _problem_of_lists(head: Head, extensions: dict[int, bytes], size: int, read: Read) -> str:
    """Imported for the images that have some: few do."""
    bitmaps = extensions.get(_BITMAPS)
    if bitmaps is None and not head.snapshots:
        return ""
    from launcher.images.qcow2_lists import problem_of_bitmaps, problem_of_snapshots

    return problem_of_snapshots(head.snapshots_at, head.snapshots, size, read) or (
        problem_of_bitmaps(bitmaps, head.cluster_bits, head.size, read) if bitmaps else ""
    )


def _unknown(more: More, names: bytes) -> Iterator[str]:
    """Of features that are not ours to know, the names that the image brings along."""
    features = more.features & ~_KNOWN
    rows = (names[at : at + 48] for at in range(0, len(names) - 47, 48))
    known = {row[1]: _text(row[2:].rstrip(b"\0")) for row in rows if row[0] == _INCOMPATIBLE}
    yield from (known.get(bit) or f"bit {bit}" for bit in range(64) if features >> bit & 1)
    if more.compression not in _KNOWN_COMPRESSIONS:
        yield f"compression of type {more.compression}"


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "backslashreplace")
