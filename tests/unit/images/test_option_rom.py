"""The bytes of an option ROM in, its images out; and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.images.option_rom import OptionRom, parse_rom
from tests.option_roms import image


def parsed(content: bytes) -> OptionRom:
    return parse_rom(len(content), lambda offset, length: content[offset : offset + length])


def test_a_rom_of_two_images_has_both_and_is_whole():
    found = parsed(image(last=False) + image(code=3))
    assert found == OptionRom(0, ("10de:2684",), (), 0, True)


def test_the_device_list_of_a_later_revision_counts():
    assert parsed(image(devices=(0x2684, 0x2704))).others == ("10de:2684", "10de:2704")


@pytest.mark.parametrize("header", [0x400, 0x600, 0x123])
def test_an_image_behind_the_header_of_a_dump_is_found(header: int):
    assert parsed(b"NVGI" + bytes(header - 4) + image()).start == header


def test_what_is_cut_off_and_what_does_not_add_up_is_told():
    assert parsed(image()[:1024]).missing == 1024
    assert parsed(image(last=False)).missing == 512
    damaged = bytearray(image())
    damaged[0x200] ^= 1
    assert (parsed(bytes(damaged)).sums, parsed(image()).sums) == (False, True)


def test_padding_behind_the_last_image_is_nothing_amiss():
    assert parsed(image() + b"\xff" * 4096) == parsed(image())


def test_only_images_for_a_bios_have_a_checksum():
    efi = bytearray(image(code=3))
    efi[0x200] ^= 1
    assert parsed(bytes(efi)).sums


@pytest.mark.parametrize("content", [b"", bytes(4096), b"\xff" * 4096, b"\x55\xaa" * 2048, b"\x7fELF" + bytes(600)])
def test_what_has_no_pci_data_structure_is_no_rom(content: bytes):
    assert parsed(content).start is None


@given(st.binary(max_size=300), st.lists(st.tuples(st.integers(0, 2047), st.integers(0, 255)), max_size=6))
def test_no_bytes_make_it_raise(noise: bytes, changes: list[tuple[int, int]]):
    parsed(noise)
    content = bytearray(image())
    for place, value in changes:
        content[place] = value
    parsed(bytes(content))
