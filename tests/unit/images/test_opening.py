"""Files that a spec names are looked at: none but a regular one is opened."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from launcher.images.boot_files import BootFile
from launcher.images.opening import looked_at
from launcher.images.reading import read_boot_file
from launcher.values import Missing


def test_a_fifo_is_not_opened_and_a_file_is(tmp_path: Path) -> None:
    fifo, file, link = tmp_path / "fifo", tmp_path / "file", tmp_path / "link"
    os.mkfifo(fifo)
    file.write_text("text")
    link.symlink_to(file)

    def write(looked: int) -> None:
        with pytest.raises(OSError, match=os.strerror(errno.ENXIO)):  # nobody has it open to read
            os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)

    assert looked_at(str(fifo), write) is None
    assert looked_at(str(link), lambda descriptor: os.pread(descriptor, 9, 0)) == b"text"


def test_why_there_is_none(tmp_path: Path) -> None:
    assert looked_at(str(tmp_path / "none"), os.fstat) == Missing("absent", str(tmp_path / "none"))
    assert looked_at("a\0b", os.fstat) == Missing("absent", "a\0b")
    assert looked_at(str(tmp_path), lambda descriptor: os.pread(descriptor, 1, 0)) == Missing(
        "unreadable", str(tmp_path)
    )


def test_a_file_that_never_ends_is_read_as_far_as_it_says() -> None:
    found = read_boot_file("/proc/kmsg")
    assert isinstance(found, BootFile if os.geteuid() == 0 else Missing)
    assert getattr(found, "size", 0) == 0
