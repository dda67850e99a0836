"""Bytes of files in, the same by their digest out of a memfd, which has a plan before them."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from launcher import copies as room
from launcher.copies import LEAST, START, Copies, Here
from launcher.executor.paper import read_plan, take_plan, write_plan
from launcher.images.boot_files import BootFile
from launcher.images.reading import read_boot_file
from tests.unit.executor.passing import passing_plan


@pytest.fixture
def memfd(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """This process copies into it."""
    found = os.memfd_create("plan", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    monkeypatch.setattr(Here, "copies", Copies(found))
    yield found
    os.close(found)


def read(folder: Path, name: str, size: int) -> tuple[bytes, str]:
    """A file that is digested: what it holds, and its digest."""
    path, data = folder / name, os.urandom(size)
    path.write_bytes(data)
    found = read_boot_file(str(path))
    assert isinstance(found, BootFile)
    assert found.sha256 == hashlib.sha256(data).hexdigest()
    return data, found.sha256


def test_who_has_the_memfd_has_the_plan_and_what_was_digested_for_it(tmp_path: Path, memfd: int) -> None:
    files = [read(tmp_path, name, LEAST + size) for name, size in (("kernel", 4097), ("initrd", 7), ("third", 0))]
    plan = passing_plan(tmp_path)
    write_plan(memfd, plan)
    assert read_plan(memfd) == plan
    assert take_plan(os.dup(memfd)) == plan
    copies = Here.copies
    for data, digest in files:
        assert copies.read(digest) == data
    assert copies.read("another") is None
    with pytest.raises(PermissionError):
        os.pwrite(memfd, b"later", START)
    with pytest.raises(PermissionError):
        os.ftruncate(memfd, START)
    mapped = copies.read(files[0][1])
    (descriptor,) = copies.descriptors()
    copies.close()
    copies.close()
    assert [copies.read(digest) for _, digest in files] == [None, None, None]
    assert mapped == files[0][0]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize("left", [0, LEAST])
def test_what_becomes_shorter_while_it_is_read_is_not_kept(left: int, memfd: int) -> None:
    """Of an empty one all that lies behind its place would be mapped."""
    copies = Here.copies
    digest = copies.digested([bytes(left)], 2 * LEAST, hashlib.sha256())
    copies.digested([bytes(range(256)) * (LEAST // 256)], LEAST, hashlib.sha256())
    assert digest == hashlib.sha256(bytes(left)).hexdigest()
    assert copies.read(digest) is None
    assert os.fstat(memfd).st_size == START + LEAST


def test_one_that_is_small_is_not_worth_it_and_one_too_many_has_no_room(
    tmp_path: Path, memfd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "MOST", 3 * LEAST)
    read(tmp_path, "small", LEAST - 1)
    kept = [read(tmp_path, str(n), LEAST)[1] for n in range(3)]
    _, late = read(tmp_path, "late", LEAST)
    assert list(Here.copies.places) == kept
    assert Here.copies.read(late) is None
    assert os.fstat(memfd).st_size == START + 3 * LEAST


def test_what_is_read_again_has_its_place_and_takes_no_other_s(tmp_path: Path, memfd: int) -> None:
    """A kernel and an initrd that are one file, two devices with one ROM, a saved plan that is planned again."""
    data, digest = read(tmp_path, "kernel", LEAST)
    for name in ("kernel", "twin"):
        (tmp_path / name).write_bytes(data)
        read_boot_file(str(tmp_path / name))
    later = [read(tmp_path, name, LEAST + 1) for name in ("initrd", "rom")]
    read_boot_file(str(tmp_path / "kernel"))
    last, its_digest = read(tmp_path, "last", LEAST)
    for content, its in ((data, digest), *later, (last, its_digest)):
        assert Here.copies.read(its) == content
    assert sum(size for _, size in Here.copies.places.values()) == 4 * LEAST + 2


@pytest.mark.parametrize("piece", [1, 3])
@pytest.mark.parametrize("size", [7, 3 << 20, 4 << 20])
def test_of_a_file_that_is_written_to_meanwhile_there_is_no_copy(
    tmp_path: Path, memfd: int, monkeypatch: pytest.MonkeyPatch, size: int, piece: int
) -> None:
    """Half of it, or one whose headers are read when it is another: whoever loads it has to find that out."""
    path, pieces, really = tmp_path / "kernel", count(), os.pread
    path.write_bytes(bytes(3 << 20))
    os.utime(path, (0, 0))

    def pread(file: int, length: int, at: int) -> bytes:
        if next(pieces) == piece:
            path.write_bytes(b"n" * size)
        return really(file, length, at)

    monkeypatch.setattr(os, "pread", pread)
    read_boot_file(str(path))
    assert next(pieces) > piece
    assert Here.copies.places == {}


@pytest.mark.parametrize("error", [errno.ENOMEM, errno.EFBIG, 0])
def test_a_host_without_room_for_it_digests_all_the_same(
    tmp_path: Path, memfd: int, monkeypatch: pytest.MonkeyPatch, error: int
) -> None:
    """0: it takes a part of it. The next one has its place."""
    really, refused = os.pwrite, [START + (1 << 20)]

    def pwrite(file: int, data: bytes, at: int) -> int:
        if at not in refused:
            return really(file, data, at)
        if error:
            raise OSError(error, os.strerror(error))
        return really(file, data[:7], at)

    monkeypatch.setattr(os, "pwrite", pwrite)
    _, digest = read(tmp_path, "kernel", 3 << 20)
    assert Here.copies.read(digest) is None
    refused.clear()
    data, digest = read(tmp_path, "initrd", LEAST)
    assert Here.copies.read(digest) == data


def test_who_does_not_plan_for_a_keeper_copies_nothing(tmp_path: Path) -> None:
    read(tmp_path, "kernel", LEAST)
    assert (Here.copies.places, Here.copies.descriptors()) == ({}, ())
