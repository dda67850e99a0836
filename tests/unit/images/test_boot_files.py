"""What a boot file is, by its bytes: kernels, archives, and files that lie."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.images.boot_files import BootFile, Segment
from launcher.images.reading import read_boot_file, read_boot_files
from launcher.images.signature import Image, identify
from launcher.planner.rules.contents import named
from launcher.values import Missing
from tests.elves import Part, elf32, elf64, note, pvh
from tests.linux_images import bzimage


def what(content: bytes) -> Image:
    return identify(len(content), lambda offset, length: content[offset : offset + length])


def test_a_pvh_kernel_gives_its_entry_and_what_goes_where():
    found = what(elf64([Part(0x100000, b"code"), Part(0x200000, b"data", memory_size=4096)], note(0x100002)))
    assert (found.kind, found.entry, found.problem) == ("pvh", 0x100002, None)
    assert [(one.guest, one.file_size, one.memory_size) for one in found.segments] == [
        (0x100000, 4, 4),
        (0x200000, 4, 4096),
    ]


def test_a_32_bit_pvh_kernel_with_a_32_bit_note():
    found = what(elf32([Part(0x100000, b"code", memory_size=64)], note(0x100000, width=4)))
    assert (found.kind, found.entry) == ("pvh", 0x100000)
    assert found.segments[0].memory_size == 64


def test_the_entry_is_found_behind_notes_of_others():
    others = note(7, name=b"GNU\0") + note(9, kind=6) + note(0x1234, name=b"Linux\0\0\0")
    assert what(elf64([Part(0x100000, b"code")], others + note(0x100000))).entry == 0x100000


def test_an_elf_without_a_pvh_note_is_only_an_elf():
    assert what(elf64([Part(0x100000, b"code")], note(0x100000, kind=17))) == Image("elf")


def test_the_running_python_is_an_elf_and_no_kernel():
    found = read_boot_file(os.path.realpath(sys.executable))
    assert isinstance(found, BootFile)
    assert (found.kind, found.problem) == ("elf", None)


LIES = {
    "overlap": elf64([Part(0x100000, b"a" * 64), Part(0x100020, b"b")], note(0x100000)),
    "larger in the file than in memory": elf64([Part(0x100000, b"abcd", memory_size=2)], note(0x100000)),
    "behind its end": elf64([Part(0x100000, b"a", claims=1 << 20, memory_size=1 << 20)], note(0x100000)),
    "end of the address space": elf64([Part((1 << 64) - 4096, b"a", memory_size=8192)], note((1 << 64) - 4096)),
    "in none of its segments": elf64([Part(0x100000, b"a" * 16)], note(0x100010)),
    "another machine": elf64([Part(0x100000, b"a")], note(0x100000), machine=183),
    "65535 program headers": elf64([Part(0x100000, b"a")], note(0x100000), count=65535),
    "0 program headers": elf64([Part(0x100000, b"a")], note(0x100000), count=0),
    "little-endian": b"\x7fELF\x02\x02\x01" + bytes(200),
    "cut off": b"\x7fELF\x02\x01\x01",
    "headers are behind its end": pvh()[:100],
}


@pytest.mark.parametrize("problem", LIES)
def test_an_elf_that_lies_is_told_by_its_lie(problem: str):
    found = what(LIES[problem])
    assert found.kind == "elf"
    assert found.segments == ()
    assert problem in (found.problem or "")


def test_a_segment_of_an_offset_beyond_the_file_is_a_lie():
    assert "behind its end" in (what(elf64([Part(0x100000, b"a", offset=1 << 63)], note(0x100000))).problem or "")


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"070701", "initrd"),
        (b"\x1f\x8b\x08", "initrd"),
        (b"\xfd7zXZ\0", "initrd"),
        (b"\x28\xb5\x2f\xfd", "initrd"),
        (b"\x02\x21\x4c\x18", "initrd"),
        (b"BZh9", "initrd"),
        (b"#!/bin/sh", "unknown"),
        (b"", "empty"),
    ],
)
def test_other_files_are_told_by_how_they_begin(start: bytes, kind: str):
    assert what(start).kind == kind


def test_a_bzimage_is_told_by_its_boot_flag_and_magic():
    head = bytearray(1024)
    head[0x1FE:0x200], head[0x202:0x206] = b"\x55\xaa", b"HdrS"
    assert what(bytes(head)).kind == "bzimage"
    head[0x1FE] = 0
    assert what(bytes(head)).kind == "unknown"


@given(st.binary(max_size=600), st.integers(0, 1 << 64))
def test_no_bytes_and_no_claimed_size_make_it_raise(content: bytes, size: int):
    found = identify(size, lambda offset, length: content[offset : offset + length])
    assert (found.entry is None) == (found.kind != "pvh")


@given(st.data())
def test_a_kernel_with_some_bytes_changed_never_raises_and_never_leaves_its_file(data: st.DataObject):
    content = bytearray(elf64([Part(0x100000, b"code" * 8), Part(0x200000, b"data")], note(0x100000)))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(4, len(content) - 1))] = data.draw(st.integers(0, 255))
    for one in what(bytes(content)).segments:
        assert one.offset + one.file_size <= len(content)
        assert one.file_size <= one.memory_size


def test_a_file_system_that_gives_a_part_at_a_time_gives_the_same(tmp_path, monkeypatch):
    path, pread = tmp_path / "kernel", os.pread
    path.write_bytes(pvh())
    found = read_boot_file(str(path))
    monkeypatch.setattr(os, "pread", lambda file, length, offset: pread(file, min(length, 7), offset))
    assert read_boot_file(str(path)) == found


def test_a_file_is_read_whole_and_its_digest_is_that_of_its_bytes(tmp_path):
    from hashlib import sha256

    path = tmp_path / "kernel"
    path.write_bytes(pvh())
    found = read_boot_file(str(path))
    assert isinstance(found, BootFile)
    assert (found.size, found.sha256) == (len(pvh()), sha256(pvh()).hexdigest())
    assert found.segments == (Segment(len(pvh()) - 64, 64, 0x100000, 64),)


def test_what_is_no_file_is_told_and_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    kinds = [read_boot_file(str(tmp_path / name)) for name in (".", "fifo", "none")]
    assert [one.kind if isinstance(one, BootFile) else one.missing for one in kinds] == [
        "directory",
        "unknown",
        "absent",
    ]


def test_a_loop_of_links_is_unreadable_and_a_file_below_a_file_absent(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").touch()
    loop, below = (read_boot_file(str(tmp_path / name)) for name in ("loop", "file/kernel"))
    assert isinstance(loop, Missing)
    assert isinstance(below, Missing)
    assert (loop.missing, below.missing) == ("unreadable", "absent")


@pytest.mark.parametrize("start", [b"", bytes(510) + b"\x55\xaa", pvh(), bzimage(), b"\x1f\x8b"])
def test_what_is_larger_than_any_boot_file_is_not_read(start: bytes, tmp_path: Path) -> None:
    """A disk that is named as the kernel, or a file with a hole of any size."""
    path = tmp_path / "disk.img"
    path.write_bytes(start)
    os.truncate(path, 1 << 34)
    found = read_boot_file(str(path))
    assert isinstance(found, BootFile)
    assert (found.kind, found.sha256, bool(named(found))) == ("unknown", "", True)


def test_what_is_no_kernel_is_not_digested_as_one(tmp_path: Path) -> None:
    """An initial RAM disk may be of a kind that nobody here knows: it is loaded as it is (W404)."""
    path = tmp_path / "disk.img"
    path.write_bytes((bytes(510) + b"\x55\xaa").ljust(1 << 20, b"\1"))
    found = read_boot_files(str(path), str(path), {})
    assert isinstance(found.kernel, BootFile)
    assert isinstance(found.initrd, BootFile)
    assert (found.kernel.kind, found.kernel.sha256) == ("unknown", "")
    assert (found.initrd.kind, len(found.initrd.sha256)) == ("unknown", 64)
