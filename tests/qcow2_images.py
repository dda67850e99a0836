"""qcow2 images as bytes: a header with tables that are there, a backing file, and what else one may carry."""

from __future__ import annotations

import struct
from collections.abc import Iterable

MIB = 1 << 20
CLUSTER_BITS = 16
BACKING_FORMAT, FEATURE_NAMES = 0xE2792ACA, 0x6803F857


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
    **fields: int,
) -> bytes:
    """An image of three clusters: header, L1 table, reference counts. `fields` are lies of the header, by name."""
    cluster = 1 << CLUSTER_BITS
    name = backing.encode() if isinstance(backing, str) else backing
    extensions = _extension(BACKING_FORMAT, backing_format.encode()) if backing_format else b""
    rows = b"".join(struct.pack("BB46s", 0, bit, said.encode()) for bit, said in names)
    extensions += _extension(FEATURE_NAMES, rows) if rows else b""
    start = 104 if version == 3 else 72
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
    more = {"features": features, "compatible": 0, "autoclear": 0, "order": 4, "length": 104}
    values = [fields.get(key, value) for key, value in head.items()]
    packed = struct.pack(">IIQIIQIIQQIIQ", *values)
    if version == 3:
        packed += struct.pack(">QQQII", *(fields.get(key, value) for key, value in more.items()))
    return (packed + extensions + bytes(8) + name).ljust(3 * cluster, b"\0")


def _extension(kind: int, body: bytes) -> bytes:
    return struct.pack(">II", kind, len(body)) + body.ljust(-(-len(body) // 8) * 8, b"\0")
