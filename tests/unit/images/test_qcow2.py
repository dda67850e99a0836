"""What a qcow2 header says, and what one says that cannot be true."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.images.disk_files import Qcow2
from launcher.images.qcow2 import MAGIC, guest_reader, parse_qcow2
from tests.qcow2_images import MIB, qcow2


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
    "has its table of clusters in its header": qcow2(l1_at=0),
    "has its reference counts in its header": qcow2(refcounts_at=0),
}


@pytest.mark.parametrize("words", LIES)
def test_a_header_that_lies_is_told_by_its_lie(words: str) -> None:
    assert words in (parse(LIES[words]).problem or "")


@given(st.binary(max_size=300))
def test_no_header_makes_it_raise_or_read_far(rest: bytes) -> None:
    asked: list[int] = []

    def read(offset: int, length: int) -> bytes:
        asked.append(length)
        return (MAGIC + rest)[offset : offset + length]

    parse_qcow2(1 << 40, read)
    assert sum(asked) <= 1 << 16


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
