"""What a qcow2 header says, and what one says that cannot be true."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.images.disk_files import Qcow2
from launcher.images.qcow2 import MAGIC, parse_qcow2
from launcher.images.qcow2_guest import guest_reader
from launcher.images.qcow2_lists import problem_of_snapshots
from tests.qcow2_images import BACKING_FORMAT, BITMAPS, KEYS, MIB, bitmap, extension, qcow2, snapshot, with_bitmaps

CLUSTER = 1 << 16
TABLE = 4 * CLUSTER


def parse(content: bytes) -> Qcow2:
    return parse_qcow2(len(content), lambda offset, length: content[offset : offset + length])


def test_an_image_says_its_size_and_what_it_is_based_on() -> None:
    found = parse(qcow2(64 * MIB, backing="base.img", backing_format="raw"))
    assert found == Qcow2(3, 64 * MIB, "base.img", "raw")
    assert parse(qcow2(version=2, backing="../b.qcow2")) == Qcow2(2, 64 * MIB, "../b.qcow2")


def test_the_length_of_a_name_that_is_not_there_means_nothing() -> None:
    """QEMU opens it."""
    assert parse(qcow2(64 * MIB, backing_size=1 << 31)) == Qcow2(3, 64 * MIB)


def test_names_come_as_they_are_or_escaped_where_they_are_no_text() -> None:
    assert parse(qcow2(backing="a\nb")).backing == "a\nb"
    assert parse(qcow2(backing=b"\xff.img")).backing == "\\xff.img"


def test_what_an_engine_has_to_know_is_told() -> None:
    found = parse(qcow2(features=0b111, encryption=2))
    assert (found.dirty, found.corrupt, found.data_file, found.encrypted) == (True, True, True, True)
    assert parse(qcow2(features=0b11000)).unknown == ()
    assert parse(qcow2(features=1 << 9 | 1 << 63, names=[(9, "holes")])).unknown == ("holes", "bit 63")


LIES = {
    "version 4": qcow2(version=3, version_=0)[:4] + b"\0\0\0\4" + qcow2()[8:],
    "within its header": qcow2()[:60],
    "2^40 bytes": qcow2(cluster_bits=40),
    "header has 8 bytes": qcow2(length=8),
    "2^9 bits": qcow2(order=9),
    "9223372036854775808 bytes": qcow2(size=1 << 63, l1_size=1),
    "by 4096 bytes": qcow2(backing="a", backing_size=4096),
    "outside of its first cluster": qcow2(backing="a", backing_at=1 << 40),
    "do not begin at a cluster": qcow2(l1_at=4711),
    "too small a table": qcow2(size=1 << 40, l1_size=1),
    "table of clusters is behind its end": qcow2(l1_at=1 << 40),
    "reference counts are behind its end": qcow2()[: 2 << 16],
    "no table of reference counts": qcow2(refcount_clusters=0),
    "table of reference counts has 129 clusters": qcow2(refcount_clusters=129),
    "table of clusters has 4194305 entries": qcow2(l1_size=(1 << 22) + 1),
    "says that it has 65537 snapshots": qcow2(snapshots=65537, snapshots_at=1 << 16),
    "tables that do not begin at a cluster": qcow2(snapshots=1, snapshots_at=(1 << 16) + 8),
    "its header and its table of clusters one over the other": qcow2(l1_at=0),
    "its header and its reference counts one over the other": qcow2(refcounts_at=0),
    "its table of clusters and its reference counts one": qcow2(l1_size=8193),
    "tables that do not begin": qcow2(snapshots_at=8),
    "its snapshots are behind its end": qcow2(snapshots=1, snapshots_at=3 * CLUSTER, rest=snapshot()[:-8]),
    "snapshots are behind": qcow2(snapshots_at=1 << 63),
    "1025 bytes of what": qcow2(snapshots=2, snapshots_at=3 * CLUSTER, rest=snapshot() + snapshot(extra=1025)),
    "an extension of its header that is larger": qcow2(extensions=extension(1, b"", CLUSTER)),
    "is larger than the header": qcow2(extensions=extension(0, b"", 1 << 31)),
    "larger": qcow2(backing="a", extensions=extension(1, b"", 80)),
    "the format of its backing file by 16 bytes": qcow2(extensions=extension(BACKING_FORMAT, b"f" * 16)),
    "has keys, and is not encrypted": qcow2(extensions=extension(KEYS, bytes(16))),
    "by 23 bytes where its bitmaps are": qcow2(extensions=extension(BITMAPS, bytes(23))),
    "and then that it is": qcow2(features=1 << 3),
    "in way 1, and its features do not": qcow2(compression=1),
    "in way 9, and its features do not": qcow2(compression=9),
    "data file is a raw disk, and has none": qcow2(autoclear=2),
    "2^13 bytes, which are too small": qcow2(features=1 << 4, cluster_bits=13),
    "small a table for its size": qcow2(512 * MIB, features=1 << 4),
    "says that it has 0 bitmaps": with_bitmaps(),
    "says that it has 65536 bitmaps": with_bitmaps(bitmap(table_at=TABLE), count=65536),
    "list of bitmaps that is nowhere": with_bitmaps(bitmap(table_at=TABLE), at=3 * CLUSTER + 8),
    "its header and its list of bitmaps one over": with_bitmaps(bitmap(table_at=TABLE), at=0),
}


@pytest.mark.parametrize("words", LIES)
def test_a_header_that_lies_is_told_by_its_lie(words: str) -> None:
    assert words in (parse(LIES[words]).problem or "")


BROKEN = {
    "reserved": with_bitmaps(bitmap(table_at=TABLE), reserved=1),
    "of no bytes": with_bitmaps(bitmap(table_at=TABLE), length=0),
    "where no file ends": with_bitmaps(bitmap(table_at=TABLE), at=(1 << 63) - CLUSTER, length=CLUSTER),
    "fewer": with_bitmaps(bitmap(table_at=TABLE), count=2),
    "more": with_bitmaps(bitmap(table_at=TABLE), bitmap("c", table_at=TABLE), count=1),
    "of another kind": with_bitmaps(bitmap(table_at=TABLE, kind=2)),
    "flags": with_bitmaps(bitmap(table_at=TABLE, flags=4)),
    "too fine": with_bitmaps(bitmap(table_at=TABLE, granularity=8)),
    "too small": with_bitmaps(bitmap(table_at=TABLE, granularity=9), size=1 << 34, l1_size=32),
    "more behind it": with_bitmaps(bitmap(table_at=TABLE, rest=1)),
    "no table": with_bitmaps(bitmap(table_at=0)),
    "table within a cluster": with_bitmaps(bitmap(table_at=TABLE + 8)),
    "the same name": with_bitmaps(bitmap(table_at=TABLE), bitmap(table_at=TABLE)),
    "a name that ends before": with_bitmaps(bitmap("a" + "\0" * 8, table_at=TABLE)),
    "an entry that is reserved": with_bitmaps(bitmap(table_at=TABLE), table=2),
    "an entry of both kinds": with_bitmaps(bitmap(table_at=TABLE), table=CLUSTER | 1),
    "an entry within a cluster": with_bitmaps(bitmap(table_at=TABLE), table=CLUSTER | 512),
}


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_bitmaps_that_contradict_their_list_are_told(content: bytes) -> None:
    assert "bitmap" in (parse(content).problem or "")


@pytest.mark.skipif(not shutil.which("qemu-io"), reason="there is no qemu-io")
@pytest.mark.parametrize("content", [*LIES.values(), *BROKEN.values()], ids=[*LIES, *BROKEN])
def test_what_is_told_qemu_does_not_open_or_would_lose(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    opened = subprocess.run(["qemu-io", "-f", "qcow2", "-c", "", tmp_path / "a"], capture_output=True, check=False)
    told = parse(content).problem or ""
    assert opened.returncode or "cut off" in told or "one over the other" in told


@given(st.binary(max_size=300))
def test_no_header_makes_it_raise_or_read_far(rest: bytes) -> None:
    asked: list[int] = []

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return (MAGIC + rest)[offset : offset + length]

    parse_qcow2(1 << 40, read)
    assert sum(asked) <= 1 << 16


def test_what_stands_behind_the_header_is_read_and_may_be_whole() -> None:
    """As QEMU has written it."""
    snapshots = snapshot("one") + snapshot("another")
    assert parse(qcow2(snapshots=2, snapshots_at=3 * CLUSTER, rest=snapshots)) == Qcow2(3, 64 * MIB)
    bitmaps = with_bitmaps(bitmap(table_at=TABLE), bitmap("c", table_at=TABLE, flags=3), table=1)
    assert parse(bitmaps) == Qcow2(3, 64 * MIB)
    assert parse(with_bitmaps(autoclear=0)) == Qcow2(3, 64 * MIB)  # nobody reads the list any more


def test_a_list_of_snapshots_that_is_too_large_is_not_read_to_its_end() -> None:
    entry, reads = snapshot("n" * 0xFFFF), iter(range(1025))
    told = problem_of_snapshots(0, 65536, 1 << 40, lambda _, length: entry[: length * (next(reads) >= 0)])
    assert told == "has a list of snapshots with more than 67108864 bytes"


def test_a_compression_of_later_is_a_feature_that_is_not_known() -> None:
    assert parse(qcow2(features=1 << 3, compression=1)).unknown == ()
    assert parse(qcow2(features=1 << 3, compression=2)).unknown == ("compression of type 2",)


def test_a_name_may_stand_anywhere_in_a_first_cluster_that_is_large() -> None:
    content = bytearray(qcow2(cluster_bits=21, backing_at=1 << 20, backing_size=5, l1_at=1 << 21, refcounts_at=1 << 22))
    content = content.ljust(3 << 21, b"\0")
    content[1 << 20 : (1 << 20) + 5] = b"a.img"
    assert parse(bytes(content)).backing == "a.img"


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1))
def test_places_that_point_anywhere_are_not_followed(at: int, size: int, count: int, where: int) -> None:
    found = parse(qcow2(backing="a", backing_at=at, backing_size=size, l1_size=count, l1_at=where))
    assert found.problem is not None or found.backing is None or len(found.backing) <= 4 * 1023


LATER = {
    "cut off": b"",
    "2^0 bytes in a cluster": qcow2(cluster_bits=0),
    "2^4294967295 bytes in a cluster": qcow2(cluster_bits=(1 << 32) - 1),
    "extended entries, which are twice as long": qcow2(features=1 << 4),
}


@pytest.mark.parametrize("content", LATER.values(), ids=LATER)
def test_an_image_that_is_another_than_its_header_said_reads_as_nothing(content: bytes) -> None:
    """Whoever owns it can write to it between two looks."""
    assert guest_reader(len(content), lambda offset, length: content[offset : offset + length])(0, 512) == b""


@pytest.mark.parametrize(("flag", "seen"), [(0, b"x" * 512), (1, bytes(512))])
def test_a_cluster_that_is_taken_and_reads_as_zeros_does(flag: int, seen: bytes) -> None:
    image, cluster = bytearray(qcow2().ljust(5 << 16, b"x")), 1 << 16
    image[cluster : cluster + 8] = (3 * cluster).to_bytes(8, "big")
    image[3 * cluster : 3 * cluster + 8] = (4 * cluster | flag).to_bytes(8, "big")
    assert guest_reader(len(image), lambda offset, length: bytes(image[offset : offset + length]))(0, 512) == seen
