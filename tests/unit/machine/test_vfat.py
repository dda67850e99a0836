"""Files in, a small VFAT disk out, read back here by another reading of the format than the writer's."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.machine.vfat import vfat


class Huge(bytes):
    """Of a size that nobody has to hold."""

    def __len__(self) -> int:
        return 300 << 20


CONTENTS = {"user-data": b"#cloud-config\n" * 100, "meta-data": b"a: b\n", "network-config": b"n" * 512, "empty": b""}


def read_back(disk: bytes) -> tuple[str, dict[str, bytes]]:
    """The label of the root directory, and its files by their long names."""
    sector, per_cluster, reserved, fats, entries, sectors, _, fat_sectors = struct.unpack_from("<HBHBHHBH", disk, 11)
    assert (disk[510:512], len(disk)) == (b"\x55\xaa", (sectors or struct.unpack_from("<I", disk, 32)[0]) * sector)
    fat = disk[reserved * sector :]
    root = (reserved + fats * fat_sectors) * sector
    data, size = root + entries * 32, per_cluster * sector
    assert (len(disk) - data) // size < 4085  # else it would not be FAT12

    def chain(cluster: int) -> bytes:
        found = bytearray()
        while cluster < 0xFF8:
            assert cluster >= 2
            start = data + (cluster - 2) * size
            found += disk[start : start + size]
            (pair,) = struct.unpack_from("<H", fat, cluster * 3 // 2)
            cluster = pair >> 4 if cluster % 2 else pair & 0xFFF
        return bytes(found)

    label, files, name = "", dict[str, bytes](), ""
    for at in range(root, data, 32):
        entry = disk[at : at + 32]
        if entry[0] == 0:
            break
        if entry[11] == 0x0F:
            part = (entry[1:11] + entry[14:26] + entry[28:32]).decode("utf-16-le").split("\0")[0]
            name = part + name
        elif entry[11] & 0x08:
            label = entry[:11].decode().rstrip()
        else:
            cluster, length = struct.unpack_from("<HI", entry, 26)
            files[name] = chain(cluster)[:length] if length else b""
            name = ""
    return label, files


def test_what_is_written_is_read_back() -> None:
    assert read_back(vfat("CIDATA", CONTENTS)) == ("CIDATA", CONTENTS)


def test_a_bios_that_starts_it_is_sent_to_the_next_disk() -> None:
    disk = vfat("CIDATA", CONTENTS)
    assert (disk[0], disk[2 + disk[1] :][:2]) == (0xEB, b"\xcd\x18")


def test_the_same_files_give_the_same_bytes() -> None:
    assert vfat("CIDATA", CONTENTS) == vfat("CIDATA", dict(CONTENTS))


@pytest.mark.parametrize("size", [511, 512, 513, 4084 * 512 - 512, 4084 * 512, 3 << 20])
def test_every_size_is_a_fat12_of_its_own(size: int) -> None:
    files = {"user-data": bytes(range(251)) * (size // 251 + 1)}
    files["user-data"] = files["user-data"][:size]
    assert read_back(vfat("CIDATA", files)) == ("CIDATA", files)


@pytest.mark.parametrize("files", [{"": b""}, {"a/b": b""}, {"n" * 256: b""}, {"big": Huge()}])
def test_what_does_not_fit_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(ValueError, match=r"fit|name"):
        vfat("CIDATA", files)


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.from_regex(r"[a-z-]{1,40}", fullmatch=True), st.binary(max_size=3000), max_size=6))
def test_any_few_files_are_read_back(files: dict[str, bytes]) -> None:
    assert read_back(vfat("ANY", files)) == ("ANY", files)
