"""Bytes of firmware, of its variables and of disks in; what they are, and whether something boots from them, out."""

from __future__ import annotations

import lzma
import os
import struct
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.images.boot_files import Flash, Variables
from launcher.images.boot_sectors import boots_of
from launcher.images.disk_reading import read_disk
from launcher.images.firmware import flash_of
from launcher.images.reading import read_boot_files, with_firmware
from launcher.images.variables import read_variables
from launcher.values import KIB, MIB, Missing
from tests.qcow2_images import qcow2

VOLUME = UUID("fff12b8d-7696-4c8b-a985-2747075b4f50").bytes_le
STORE = UUID("aaf32c78-947b-439a-a180-2e144ec37792").bytes_le
FILES = UUID("8c8ce578-8a3d-4f1c-9935-896185c32dd3").bytes_le
PACKED = UUID("ee4e5898-3914-4259-9d6e-dc7bd79403cf").bytes_le
SMM = UUID("6c0e75b4-b0b9-44d1-8210-3377d7b4e066").bytes_le
SYSTEM = UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b").bytes_le
JUMP = b"\x90\x90\xe9\x5b".ljust(16, b"\x90")


def volume(kind: bytes, size: int) -> bytes:
    return bytes(16) + kind + struct.pack("<Q4sIHHHBB", size, b"_FVH", 0, 0x48, 0, 0, 0, 2) + bytes(16)


def variables(size: int = 528 * KIB, store: int = 262072, kind: bytes = STORE) -> bytes:
    return (volume(VOLUME, size) + kind + struct.pack("<IBB", store, 0x5A, 0xFE)).ljust(size, b"\xff")


def ovmf(*modules: bytes) -> bytes:
    """Its modules packed, as EDK2 does, between a header and the reset vector."""
    packed = lzma.compress(bytes(100) + b"".join(modules).ljust(MIB, b"\1"), lzma.FORMAT_ALONE)
    section = bytes(4) + PACKED + struct.pack("<HH", 24, 1) + packed
    return (volume(FILES, 4 * MIB) + section).ljust(2 * MIB - 16, b"\xff") + JUMP


def flash(content: bytes) -> Flash | None:
    return flash_of(len(content), lambda offset, length: content[offset : offset + length])


LAYOUT = "262072 bytes of 540672, authenticated"


FLASH: dict[str, tuple[bytes, Flash | None]] = {
    "firmware": (ovmf(), Flash("uefi")),
    "for Secure Boot": (ovmf(SMM), Flash("uefi", smm=True)),
    "with the module where its first volume ends": (ovmf(bytes(MIB - 116) + SMM), Flash("uefi", smm=True)),
    "with nothing packed": (ovmf().replace(PACKED, SMM, 1), Flash("uefi", smm=True)),
    "with its variables before it": (variables() + ovmf(), Flash("uefi", LAYOUT)),
    "variables": (variables(), Flash("variables", LAYOUT)),
    "a BIOS": (bytes(256 * KIB - 16) + b"\xea".ljust(16, b"\0"), Flash("bios")),
    "a BIOS of half a page": (bytes(2048 - 16) + b"\xea".ljust(16, b"\0"), None),
    "cut off": (ovmf()[:MIB], None),
    "a packed part that is none": (ovmf().replace(b"\x5d\0\0", b"\xff\0\0", 1), Flash("uefi")),
    "nothing": (b"", None),
    "a store of nobody's": (variables(kind=bytes(16)), None),
}


@pytest.mark.parametrize(("content", "expected"), FLASH.values(), ids=FLASH)
def test_firmware_and_variables_are_told_by_their_content(content: bytes, expected: Flash | None) -> None:
    assert flash(content) == expected


@pytest.mark.parametrize("name", ["OVMF/OVMF_CODE_4M.fd", "OVMF/OVMF_CODE_4M.secboot.fd", "OVMF/OVMF_CODE.fd"])
def test_what_the_distribution_has_is_told(name: str) -> None:
    path = Path("/usr/share", name)
    if not path.exists():
        pytest.skip(f"{path} is not installed")
    assert flash(path.read_bytes()) == Flash("uefi", smm="secboot" in name)


def mbr(code: bytes = b"", *types: int) -> bytes:
    table = b"".join(struct.pack("<BBHBBHII", 0, 0, 0, one, 0, 0, 1, 1) for one in types)
    return code.ljust(446, b"\0") + table.ljust(64, b"\0") + b"\x55\xaa"


def gpt(sector: int = 512, size: int = 128, count: int = 128, code: bytes = b"") -> bytes:
    head = b"EFI PART".ljust(72, b"\0") + struct.pack("<QII", 2, count, size) + bytes(4)
    entry = min(size, 4096)  # who says more is not read
    table = bytes(entry) + SYSTEM.ljust(entry, b"\0")
    return mbr(code, 0xEE).ljust(sector, b"\0") + head.ljust(sector, b"\0") + table + bytes(128 * KIB)


DISKS = {
    "empty": (bytes(MIB), ()),
    "boot code": (mbr(b"\xeb\x63", 0x83), ("bios",)),
    "a table and no code": (mbr(b"", 0x83), ()),
    "a FAT partition": (mbr(b"", 0x0C), ("uefi",)),
    "GPT": (gpt(), ("uefi",)),
    "GPT and boot code": (gpt(code=b"\xeb"), ("bios", "uefi")),
    "GPT of sectors of 4 KiB": (gpt(4096), ("uefi",)),
    "GPT with odd entries": (gpt(size=1 << 31), ()),
    "a CD": (bytes(0x8801) + b"CD001\x01EL TORITO SPECIFICATION" + bytes(100), ("bios", "uefi")),
    "cut off": (gpt()[:511], ()),
}


@pytest.mark.parametrize(("content", "expected"), DISKS.values(), ids=DISKS)
def test_who_would_find_a_boot_loader_is_told_by_the_first_sectors(content: bytes, expected: tuple[str, ...]) -> None:
    assert boots_of(lambda offset, length: content[offset : offset + length]) == expected


@settings(deadline=None)
@given(st.binary(max_size=600), st.binary(max_size=200))
def test_no_bytes_are_too_odd(start: bytes, table: bytes) -> None:
    disk = start.ljust(510, b"\1")[:510] + b"\x55\xaa" + b"EFI PART" + table
    boots_of(lambda offset, length: disk[offset : offset + length])
    flash(start)
    flash(volume(VOLUME, len(start)) + start)
    flash((volume(FILES, 4096) + bytes(4) + PACKED + start).ljust(4096 - 16, b"\0") + JUMP)


def test_the_first_sectors_of_a_qcow2_image_are_those_of_its_guest(tmp_path: Path) -> None:
    """Where no cluster is there yet a guest reads zeros, or the image that it is based on."""
    for name, content in (("a.qcow2", qcow2()), ("b.qcow2", qcow2(backing="a.qcow2", backing_format="qcow2"))):
        (tmp_path / name).write_bytes(content)
    alone, based = (read_disk(str(tmp_path / name), "qcow2", boots=True) for name in ("a.qcow2", "b.qcow2"))
    assert not isinstance(alone, Missing)
    assert alone.top.boots == ()
    assert not isinstance(based, Missing)
    assert [one.boots for one in based.chain] == [None, ()]
    (tmp_path / "raw.img").write_bytes(gpt())
    raw = read_disk(str(tmp_path / "raw.img"), "raw", boots=True)
    assert not isinstance(raw, Missing)
    assert raw.top.boots == ("uefi",)


def test_variables_are_looked_at_and_never_made(tmp_path: Path) -> None:
    path = tmp_path / "vm.fd"
    assert read_variables(str(path)) == Variables(str(path), "none")
    assert read_variables(str(tmp_path / "no" / "vm.fd")) == Missing("absent", str(tmp_path / "no"))
    path.write_bytes(variables())
    found = read_variables(str(path))
    assert isinstance(found, Variables)
    assert (found.kind, found.size, found.layout, found.locked) == ("file", 528 * KIB, LAYOUT, False)
    assert read_variables(str(tmp_path)) != found
    assert getattr(read_variables(str(tmp_path)), "kind", "") == "other"
    os.mkfifo(tmp_path / "fifo")
    assert getattr(read_variables(str(tmp_path / "fifo")), "kind", "") == "other"
    (tmp_path / "link").symlink_to("nowhere.fd")
    assert getattr(read_variables(str(tmp_path / "link")), "kind", "") == "other"
    (tmp_path / "other").symlink_to("vm.fd")
    assert getattr(read_variables(str(tmp_path / "other")), "target", "") == str(path)
    assert isinstance(read_variables("a\0b"), Missing)


def test_a_firmware_of_the_spec_is_read_beside_no_kernel(tmp_path: Path) -> None:
    (tmp_path / "OVMF.fd").write_bytes(ovmf())
    found = with_firmware(read_boot_files(None, None, {}), str(tmp_path / "OVMF.fd"), None)
    assert found.kernel is None
    assert found.variables is None
    assert getattr(found.firmware, "flash", None) == Flash("uefi")
