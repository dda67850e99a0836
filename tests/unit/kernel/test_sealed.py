"""What is sealed can be neither changed nor resized, and a page that somebody holds keeps nobody from sealing it."""

from __future__ import annotations

import fcntl
import mmap
import os
from collections.abc import Iterator

import pytest

from launcher.kernel import sealed
from launcher.kernel.sealed import seal

PAGE = 1 << 12


@pytest.fixture
def memfd() -> Iterator[int]:
    fd = os.memfd_create("test", os.MFD_ALLOW_SEALING)
    os.pwrite(fd, b"x" * PAGE, 0)
    yield fd
    os.close(fd)


def assert_sealed(memfd: int) -> None:
    again = os.open(f"/proc/self/fd/{memfd}", os.O_RDWR)
    for fd in (memfd, again):
        for change in (
            lambda fd: os.pwrite(fd, b"y", 0),
            lambda fd: os.ftruncate(fd, 0),
            lambda fd: os.ftruncate(fd, 2 * PAGE),
            lambda fd: mmap.mmap(fd, PAGE),
        ):
            with pytest.raises(PermissionError):
                change(fd)
    os.close(again)
    with mmap.mmap(memfd, PAGE, prot=mmap.PROT_READ) as read:
        assert read[:] == os.pread(memfd, PAGE, 0) == b"x" * PAGE


def test_nobody_writes(memfd: int) -> None:
    seal(memfd)
    assert_sealed(memfd)


def test_a_page_that_is_held(memfd: int) -> None:
    """As the kernel holds one for itself; here it lies in a pipe."""
    reader, writer = os.pipe()
    assert os.splice(memfd, writer, PAGE, offset_src=0) == PAGE
    with pytest.raises(OSError, match="busy"):
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
    seal(memfd)
    assert_sealed(memfd)
    os.close(reader)
    os.close(writer)


def test_a_kernel_before_it_could(memfd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "F_SEAL_FUTURE_WRITE", 1 << 30)  # no kernel knows that one
    seal(memfd)
    assert fcntl.fcntl(memfd, fcntl.F_GET_SEALS) & fcntl.F_SEAL_WRITE
    assert_sealed(memfd)


def test_a_memfd_that_may_not_be_sealed() -> None:
    fd = os.memfd_create("test")
    with pytest.raises(PermissionError):
        seal(fd)
    os.close(fd)
