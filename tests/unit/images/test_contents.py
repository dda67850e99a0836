"""The bytes of files that are no kernels in, their names out."""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.images.signature import Image, identify
from launcher.planner.rules.contents import CONTENTS
from tests.elves import Part, elf64, note, pvh


def what(content: bytes) -> Image:
    return identify(len(content), lambda offset, length: content[offset : offset + length])


def at(offset: int, sign: bytes, size: int = 4096, start: bytes = b"") -> bytes:
    body = bytearray(size)
    body[: len(start)] = start
    body[offset : offset + len(sign)] = sign
    return bytes(body)


def portable(machine: int, section: bytes = b".text") -> bytes:
    head = bytearray(at(0x3C, struct.pack("<I", 0x80), start=b"MZ"))
    head[0x80:0x98] = b"PE\0\0" + struct.pack("<HHIIIHH", machine, 1, 0, 0, 0, 0, 0)
    head[0x98 : 0x98 + len(section)] = section
    return bytes(head)


NAMES = {
    "gzip": gzip.compress(pvh()),
    "xz": lzma.compress(pvh()),
    "bzip2": bz2.compress(pvh()),
    "zstd": b"\x28\xb5\x2f\xfd" + bytes(range(1, 60)),
    "lz4": b"\x02\x21\x4c\x18" + bytes(range(1, 60)),
    "cpio": b"070701" + b"0" * 104,
    "arm64-image": at(0x38, b"ARM\x64", start=b"MZ"),
    "riscv-image": at(0x38, b"RSC\x05", start=b"MZ"),
    "efi-zboot": at(4, b"zimg", start=b"MZ"),
    "efi": portable(0x8664),
    "efi-ia32": portable(0x14C),
    "efi-foreign": portable(0xAA64),
    "uki": portable(0x8664, b".linux\0\0"),
    "dos": b"MZ" + bytes(range(1, 200)),
    "iso": at(0x8001, b"CD001", 1 << 16),
    "qcow2": b"QFI\xfb\0\0\0\x03" + bytes(500),
    "vmdk": b"KDMV" + bytes(500),
    "vdi": at(0x40, b"\x7f\x10\xda\xbe", start=b"<<< Oracle VM VirtualBox Disk Image >>>"),
    "vhdx": b"vhdxfile" + bytes(500),
    "qed": b"QED\0" + bytes(500),
    "parallels": b"WithoutFreeSpace" + bytes(500),
    "vhd": at(4096 - 512, b"conectix", start=b"\x01"),
    "raw-disk": at(0x1FE, b"\x55\xaa", start=b"\xeb\x63"),
    "luks": b"LUKS\xba\xbe\0\x02" + bytes(500),
    "file-system": at(0x438, b"\x53\xef"),
    "firmware-volume": at(0x28, b"_FVH"),
    "bios": at((1 << 16) - 16, b"\xea\x5b\xe0\x00\xf0", 1 << 16, start=b"\x01"),
    "option-rom": b"\x55\xaa\x04\xe9" + bytes(600),
    "nvgi": b"NVGI" + bytes(2000),
    "tar": at(0x101, b"ustar", start=b"boot/"),
    "zip": b"PK\x03\x04" + bytes(100),
    "script": b"#!/bin/sh\nexec true\n",
    "html": b"<!DOCTYPE html>\n<html>404</html>\n",
    "text": "name: vm\n# ä\n".encode(),
    "git-lfs": b"version https://git-lfs.github.com/spec/v1\n",
    "zeros": bytes(8192),
    "ones": b"\xff" * 8192,
    "elf-foreign": elf64([Part(0x100000, b"a")], note(0x100000), machine=183),
}


@pytest.mark.parametrize("name", NAMES)
def test_a_file_is_named_for_what_it_is(name: str):
    assert what(NAMES[name]).content == name
    assert name in CONTENTS


@pytest.mark.parametrize(
    "almost", [b"MZ", b"\x1f", at(0x8001, b"CD00"), at(0x1FE, b"\x55"), bytes(5000) + b"\1", bytes(range(256))]
)
def test_what_almost_begins_like_something_has_no_name_or_another(almost: bytes):
    assert what(almost).content in (None, "dos")


def test_another_machine_is_named():
    for machine, name in {183: "AArch64", 243: "RISC-V", 8: "MIPS", 21: "PowerPC"}.items():
        problem = what(elf64([Part(0x100000, b"a")], note(0x100000), machine=machine)).problem
        assert problem
        assert name in problem


def test_a_pvh_kernel_that_is_linux_says_so():
    # The name is padded to four bytes, which `note` leaves to its caller.
    linux = note(0x100000) + struct.pack("<III", 6, 8, 0x101) + b"Linux\0\0\0" + bytes(8)
    assert what(elf64([Part(0x100000, b"code")], linux)).linux
    assert not what(pvh()).linux


@given(st.binary(max_size=5000), st.integers(0, 1 << 40))
def test_no_bytes_make_it_raise(content: bytes, size: int):
    found = identify(size, lambda offset, length: content[offset : offset + length])
    assert found.content is None or found.content in CONTENTS
