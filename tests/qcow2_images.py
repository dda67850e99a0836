"""qcow2 images as bytes: a header with tables that are there, a backing file, and what else one may carry."""

from __future__ import annotations

import struct
from collections.abc import Iterable

MIB = 1 << 20
CLUSTER_BITS = 16
BACKING_FORMAT, FEATURE_NAMES, BITMAPS, KEYS = 0xE2792ACA, 0x6803F857, 0x23852875, 0x0537BE77


def qcow2(
    size: int = 64 * MIB,
    *,
    backing: str | bytes = "",
    backing_format: str = "",
    version: int = 3,
    features: int = 0,
    encryption: int = 0,
    cluster_bits: int = CLUSTER_BITS,
    names: Iterable[tuple[int, str]] = (),
    extensions: bytes = b"",
    rest: bytes = b"",
    **fields: int,
) -> bytes:
    """An image of three clusters: header, L1 table, reference counts; then `rest`. `fields` are lies of the header, by
    name; `extensions` are more of the header's, and its end where they are the last."""
    cluster = 1 << CLUSTER_BITS
    name = backing.encode() if isinstance(backing, str) else backing
    extensions += extension(BACKING_FORMAT, backing_format.encode()) if backing_format else b""
    rows = b"".join(struct.pack("BB46s", 0, bit, said.encode()) for bit, said in names)
    extensions += extension(FEATURE_NAMES, rows) if rows else b""
    start = 112 if version == 3 else 72
    name_at = start + len(extensions) + 8
    head = {
        "magic": 0x514649FB,
        "version": version,
        "backing_at": name_at if name else 0,
        "backing_size": len(name),
        "cluster_bits": cluster_bits,
        "size": size,
        "encryption": encryption,
        "l1_size": max(1, -(-size >> (2 * CLUSTER_BITS - 3))),
        "l1_at": cluster,
        "refcounts_at": 2 * cluster,
        "refcount_clusters": 1,
        "snapshots": 0,
        "snapshots_at": 0,
    }
    more = {"features": features, "compatible": 0, "autoclear": 0, "order": 4, "length": 112}
    values = [fields.get(key, value) for key, value in head.items()]
    packed = struct.pack(">IIQIIQIIQQIIQ", *values)
    if version == 3:
        packed += struct.pack(">QQQII", *(fields.get(key, value) for key, value in more.items()))
        packed += struct.pack(">B7x", fields.get("compression", 0))
    return (packed + extensions + bytes(8) + name).ljust(3 * cluster, b"\0") + rest


def extension(kind: int, body: bytes, length: int | None = None) -> bytes:
    """`length` is what it says of itself."""
    return struct.pack(">II", kind, len(body) if length is None else length) + body.ljust(-(-len(body) // 8) * 8, b"\0")


def snapshot(name: str = "one", extra: int = 16) -> bytes:
    """An entry of the list of snapshots."""
    size = 64 * MIB
    head = struct.pack(">QIHHIIQII", 0, 0, 1, len(name), 0, 0, 0, 0, extra) + struct.pack(">QQ", 0, size) + b"1"
    return (head + name.encode()).ljust(-(-len(head + name.encode()) // 8) * 8, b"\0")


def bitmap(
    name: str = "b", *, table_at: int, flags: int = 0, granularity: int = 16, kind: int = 1, rest: int = 0
) -> bytes:
    """An entry of the list of bitmaps, with a table of one entry."""
    head = struct.pack(">QIIBBHI", table_at, 1, flags, kind, granularity, len(name), rest) + name.encode()
    return head.ljust(-(-len(head) // 8) * 8, b"\0")


def with_bitmaps(*entries: bytes, table: int = 0, **fields: int) -> bytes:
    """An image with a list of bitmaps in its fourth cluster, and one table of a bitmap in its fifth. `fields` are lies
    of the header, or of what it says of the list: count, reserved, length, at."""
    cluster, listed = 1 << CLUSTER_BITS, b"".join(entries)
    said = {"count": len(entries), "reserved": 0, "length": len(listed), "at": 3 * cluster}
    place = extension(BITMAPS, struct.pack(">IIQQ", *(fields.pop(key, value) for key, value in said.items())))
    rest = listed.ljust(cluster, b"\0") + struct.pack(">Q", table).ljust(cluster, b"\0")
    return qcow2(extensions=place, rest=rest, **{"autoclear": 1, **fields})  # type: ignore[arg-type]
