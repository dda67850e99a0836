"""Unified kernel images: what is in them, what a plan makes of it, and images that lie."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.images.boot_files import BootFile, Part
from launcher.images.reading import read_boot_files
from launcher.images.signature import Image, identify
from launcher.plan.steps import LoadInitrd, LoadKernel
from tests.linux_images import bzimage, unified
from tests.planning import SMALL, codes, host, plan

LINUX, INITRD = bzimage(), b"070701".ljust(5000, b"i")
UKI = unified(osrel=b"ID=debian\n", cmdline=b"console=ttyS0 quiet\0", linux=LINUX, initrd=INITRD)


def what(content: bytes) -> Image:
    return identify(len(content), lambda offset, length: content[offset : offset + length])


def test_its_kernel_is_a_bzimage_from_where_it_lies() -> None:
    alone, found = what(LINUX), what(UKI)
    assert (found.kind, found.entry, found.initrd_max, found.linux) == ("bzimage", alone.entry, 0x7FFFFFFF, True)
    assert found.inside is not None
    assert found.inside.cmdline == "console=ttyS0 quiet"
    assert UKI[found.inside.kernel :].startswith(LINUX)
    assert found.inside.initrd is not None
    assert UKI[found.inside.initrd.offset :][: found.inside.initrd.size] == INITRD
    (one,), (segment,) = alone.segments, found.segments
    assert segment.offset == one.offset + found.inside.kernel
    assert (segment.file_size, segment.guest, segment.memory_size) == (one.file_size, one.guest, one.memory_size)


def test_the_sections_before_the_first_profile_hold() -> None:
    found = what(unified(linux=LINUX, profile=b"ID=other", cmdline=b"other", initrd=INITRD))
    assert found.inside is not None
    assert (found.inside.cmdline, found.inside.initrd) == ("", None)


LIES = {
    "behind the file": UKI[: -len(INITRD)],
    "is no bzImage": unified(linux=b"\x7fELF".ljust(9000, b"\0")),
    "without a kernel": unified(linux=b"", initrd=INITRD),
    "ends within its setup header": unified(linux=LINUX[:0x206]),
    "(section .cmdline) is too long": unified(linux=LINUX, cmdline=b"a\0".ljust(1 << 17, b"\0")),
    "is no text": unified(linux=LINUX, cmdline=b"\xff\xfe"),
    "is too long": unified(linux=LINUX, cmdline=b"a" * 2048),
    "is no line of text": unified(linux=LINUX, cmdline=b"a\x1b[2J"),
    "another machine": UKI.replace(b"PE\0\0\x64\x86", b"PE\0\0\x64\xaa"),
}


@pytest.mark.parametrize(("problem", "content"), LIES.items(), ids=LIES)
def test_one_that_lies_is_not_started(problem: str, content: bytes) -> None:
    found = what(content)
    assert (found.kind, found.entry, found.content) == ("unknown", None, "uki")
    assert problem in str(found.problem)


@settings(deadline=None)
@given(st.integers(0, 0x400), st.binary(min_size=1, max_size=40))
def test_no_header_is_too_odd(at: int, junk: bytes) -> None:
    """Whatever it says, nothing behind the file is loaded."""
    content = UKI[:at] + junk + UKI[at + len(junk) :]
    found = what(content)
    assert all(one.offset + one.file_size <= len(content) for one in found.segments)
    if found.inside and found.inside.initrd:
        assert found.inside.initrd.offset + found.inside.initrd.size <= len(content)


def written(tmp_path: Path, content: bytes) -> BootFile:
    (tmp_path / "linux.efi").write_bytes(content)
    found = read_boot_files(str(tmp_path / "linux.efi"), None, {}).kernel
    assert isinstance(found, BootFile)
    return found


def test_a_plan_loads_its_parts_and_a_spec_has_the_last_word(tmp_path: Path) -> None:
    written(tmp_path, UKI)
    files = read_boot_files(str(tmp_path / "linux.efi"), None, {})
    made = plan(SMALL, host("gpu07"), files)
    (kernel,) = [one for one in made.steps if isinstance(one, LoadKernel)]
    (initrd,) = [one for one in made.steps if isinstance(one, LoadInitrd)]
    assert isinstance(files.kernel, BootFile)
    assert files.kernel.inside is not None
    assert (kernel.cmdline, kernel.head) == ("console=ttyS0 quiet", files.kernel.inside.kernel)
    assert Part(initrd.offset, initrd.size) == files.kernel.inside.initrd
    assert (initrd.path, initrd.sha256) == (kernel.path, kernel.sha256)
    assert {"W433", "W435"}.isdisjoint(codes(made))
    other = plan(SMALL.replace("./bzImage", "./linux.efi, cmdline: debug"), host("gpu07"), files)
    assert [one.cmdline for one in other.steps if isinstance(one, LoadKernel)] == ["debug"]


def test_an_initial_ram_disk_that_does_not_fit_is_told(tmp_path: Path) -> None:
    large = unified(linux=LINUX, initrd=b"070701".ljust(40 << 20, b"i"))
    (tmp_path / "linux.efi").write_bytes(large)
    files = read_boot_files(str(tmp_path / "linux.efi"), None, {})
    assert "E422" in codes(plan(SMALL.replace("256MiB", "64MiB"), host("gpu07"), files))
    assert "E422" not in codes(plan(SMALL, host("gpu07"), files))


def test_the_header_is_that_of_the_pe_format() -> None:
    """Of our own maker of images, so that the two do not err alike (Microsoft, PE Format, 3)."""
    (place,) = struct.unpack_from("<I", UKI, 0x3C)
    assert UKI[place : place + 6] == b"PE\0\0\x64\x86"
    assert struct.unpack_from("<H", UKI, place + 24 - 4)[0] == 240
