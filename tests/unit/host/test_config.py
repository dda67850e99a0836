"""Configuration space, decoded: what real devices say, and what broken ones do to a reader."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from launcher.codec import decode, encode
from launcher.host.config import decode_config
from launcher.host.facts import Config, Msix
from tests.unit.host.trees import config

POWER = (0x01, bytes.fromhex("0300 0000 0000"))
POWER_WITHOUT_RESET = (0x01, bytes.fromhex("0300 0800 0000"))
MSI_OF_FOUR = (0x05, bytes.fromhex("8400 00000000"))
MSIX = (0x11, bytes.fromhex("4080 00200000 00300000"))  # what an NVMe drive in QEMU says
ENDPOINT_WITH_FLR = (0x10, bytes.fromhex("0200 00000010"))
ROOT_PORT = (0x10, bytes.fromhex("4200 00000000"))
ADVANCED_FEATURES = (0x13, bytes.fromhex("0603"))


def decoded(space: bytes, virtual: bool = False, missing: frozenset[int] = frozenset()) -> Config:
    return decode_config(lambda offset, size: space[offset : offset + size], virtual, missing)


def test_capabilities_are_found_in_any_order():
    found = decoded(config(MSI_OF_FOUR, ENDPOINT_WITH_FLR, POWER, MSIX))
    assert (found.port, found.flr, found.soft_reset, found.msi, found.pin) == ("endpoint", True, True, 4, 1)
    assert found.msix == Msix(65, 0, 0x2000, 0, 0x3000)


def test_d3hot_resets_only_without_the_bit_no_soft_reset():
    assert not decoded(config(POWER_WITHOUT_RESET)).soft_reset
    assert not decoded(config()).soft_reset


def test_a_conventional_device_can_have_its_function_level_reset_in_the_af_capability():
    found = decoded(config(ADVANCED_FEATURES, size=256))
    assert (found.af_flr, found.flr, found.port, found.extended) == (True, False, None, None)


def test_extended_capabilities_and_the_serial_number():
    number = bytes.fromhex("56341200ff005452")
    found = decoded(config(ROOT_PORT, extended=((0x0001, bytes(44)), (0x0003, number), (0x000D, bytes(4)))))
    assert (found.port, found.extended) == ("root port", ("0001", "0003", "000d"))
    assert found.serial_number == "52-54-00-ff-00-12-34-56"


def test_without_the_status_bit_there_is_no_list():
    space = bytearray(config(MSIX))
    space[6] = 0
    assert decoded(bytes(space)).msix is None


def test_a_device_that_is_gone_reads_all_ones_and_one_stuck_in_reset_has_header_7f():
    assert decoded(b"\xff" * 4096) == Config(dead=True)
    assert decoded(config(header=0x7F)).dead


def test_a_virtual_function_reads_ones_for_its_ids_and_is_not_gone():
    space = b"\xff" * 4 + config(MSIX, bars=(0xC,), pin=1)[4:]
    assert decoded(space).dead
    found = decoded(space, virtual=True, missing=frozenset({0}))
    assert (found.dead, found.pin, found.unassigned) == (False, 0, ())
    assert found.msix is not None


def test_bars_without_an_address_are_seen_by_their_type_bits():
    bars = (0, 0, 0x0000000C, 0, 0x00000001, 0)
    found = decoded(config(bars=bars), missing=frozenset(range(6)))
    assert (found.unassigned, found.unassigned_ports) == ((2, 4), (4,))


def test_the_upper_half_of_a_bar_is_no_bar_and_a_bridge_has_two():
    assert decoded(config(bars=(0xC, 0x80, 0, 0)), missing=frozenset({1, 2})).unassigned == ()
    assert decoded(config(bars=(0, 0, 0x0C), header=1), missing=frozenset({0, 1, 2})).unassigned == ()


def test_lists_that_bite_their_own_tail_end():
    space = bytearray(config(MSIX, extended=((0x0001, bytes(4)),)))
    space[0x41] = 0x40
    space[0x103] = 0x10
    found = decoded(bytes(space))
    assert (found.msix is not None, found.extended) == (True, ("0001",))


@given(st.binary(max_size=512), st.booleans(), st.frozensets(st.integers(0, 5)))
def test_no_bytes_raise(space: bytes, virtual: bool, missing: frozenset[int]):
    found = decoded(space, virtual, missing)
    assert decode(Config, encode(found)) == found


@given(st.lists(st.tuples(st.integers(0, 4095), st.integers(0, 255)), max_size=40))
def test_no_broken_device_raises(pokes: list[tuple[int, int]]):
    space = bytearray(config(MSI_OF_FOUR, ENDPOINT_WITH_FLR, POWER, MSIX, extended=((0x0003, bytes(8)), (0x15, b""))))
    for place, value in pokes:
        space[place] = value
    assert decoded(bytes(space)).msi <= 32


def test_a_port_with_a_slot_says_whether_devices_come_and_go():
    """PCI Express capabilities: version 2, root port, slot implemented; bit 6 of the slot's."""

    def port(flags: int, slot: int, header: int = 1) -> bool:
        body = flags.to_bytes(2, "little") + bytes(16) + slot.to_bytes(4, "little") + bytes(8)
        return decoded(config((0x10, body), header=header)).hot_plug

    assert port(0x142, 0x40)
    assert not port(0x142, 0x20)
    assert not port(0x042, 0x40)
    assert not port(0x142, 0x40, header=0)
