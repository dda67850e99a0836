"""What a guest sees of a passed function's configuration space, and what of its writes the device hears."""

from __future__ import annotations

import pytest

from launcher.machine.policy import Shape
from launcher.machine.x86.host_bridge import host_bridge
from launcher.plan.changes import Forward
from launcher.record import replace
from tests.unit.machine.devices import (
    AER,
    AHCI,
    ALL,
    E1000E,
    NVME,
    PASID,
    REBAR,
    RTL8139,
    SERIAL,
    SRIOV,
    VIRTUAL,
    Guest,
    advanced,
    config,
    express,
    msi,
    msix,
    power,
    vendor,
)

EVERY = pytest.mark.parametrize("shape", ALL.values(), ids=ALL.keys())


def with_config(image: bytes) -> Shape:
    return replace(NVME, config=image)


# ---- header ----


@EVERY
def test_ids_class_and_subsystem_are_the_devices(shape: Shape) -> None:
    guest = Guest(shape)
    for offset in (0x00, 0x08, 0x28, 0x2C):
        assert guest.read(offset) == int.from_bytes(shape.config[offset : offset + 4], "little")
        guest.write(offset, 0x12345678)
    assert guest.device == shape.config


@EVERY
def test_a_guest_sees_several_functions_only_where_it_has_several(shape: Shape) -> None:
    guest = Guest(shape)
    assert guest.read(0x0E, 1) == (0x80 if shape.multifunction else 0)


def test_the_command_register_is_the_devices_and_status_bits_can_be_cleared() -> None:
    guest = Guest(E1000E)
    assert Forward(0x04, b"\x06\x05") in guest.write(0x04, 0x0506, 2)
    assert guest.read(0x04, 2) == 0x0506
    guest.device[0x07] = 0x28  # signalled and received errors
    changes = guest.write(0x04, 0xF900_0506)
    assert [one for one in changes if isinstance(one, Forward)] == [Forward(4, b"\x06\x05"), Forward(7, b"\xf9")]


def test_a_status_that_the_device_changes_is_seen_at_once() -> None:
    guest = Guest(RTL8139)
    guest.device[0x06] |= 0x08  # interrupt status
    assert guest.read(0x06, 2) == 0x0018


def test_cache_line_and_latency_go_to_the_device_and_a_self_test_does_not() -> None:
    guest = Guest(RTL8139)
    assert guest.write(0x0C, 0xC000_4010) == (Forward(0x0C, b"\x10\x40"),)
    assert guest.read(0x0C) == 0x0080_4010


@EVERY
def test_the_interrupt_line_is_the_guests_own_and_the_pin_is_fixed(shape: Shape) -> None:
    guest = Guest(shape)
    assert guest.write(0x3C, 0x0310, 2) == ()
    assert guest.read(0x3C, 1) == 0x10
    assert guest.read(0x3D, 1) == shape.config[0x3D]


def test_the_interrupt_line_is_as_firmware_leaves_it_until_the_guest_writes_its_own() -> None:
    guest = Guest(replace(RTL8139, line=10))
    assert guest.read(0x3C, 2) == 0x010A
    guest.write(0x3C, 0x07, 1)
    assert guest.read(0x3C, 1) == 0x07
    assert Guest(replace(RTL8139, line=10, intx=False)).read(0x3C, 2) == 0x00FF
    assert Guest(replace(VIRTUAL, line=10)).read(0x3C, 2) == 0x00FF


def test_a_line_that_cannot_be_had_has_no_pin() -> None:
    assert Guest(replace(E1000E, intx=False)).read(0x3D, 1) == 0
    assert Guest(with_config(config((1, 1), [], pin=9))).read(0x3D, 1) == 0


def test_before_the_guest_runs_the_device_listens_to_nothing() -> None:
    image = bytearray(E1000E.config)
    image[0x04:0x06] = b"\x47\x05"
    first = Guest(with_config(bytes(image))).function.first_command()
    assert first == Forward(0x04, b"\x40\x01")


# ---- capabilities ----


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        (NVME, [(0x01, 0x40), (0x05, 0x50), (0x10, 0x70), (0x11, 0xB0)]),
        (E1000E, [(0x01, 0xC8), (0x05, 0xD0), (0x10, 0xE0), (0x11, 0xA0)]),
        (RTL8139, [(0x01, 0x50), (0x03, 0x60)]),
        (AHCI, [(0x05, 0x80), (0x01, 0x70), (0x09, 0x48), (0x13, 0xB0)]),
        (VIRTUAL, [(0x11, 0x70), (0x10, 0xA0)]),
    ],
    ids=ALL.keys(),
)
def test_the_list_has_what_works_in_a_guest_at_its_own_place(shape: Shape, expected: list[tuple[int, int]]) -> None:
    assert Guest(shape).capabilities() == expected


def test_a_hidden_capability_is_neither_seen_nor_reached() -> None:
    guest = Guest(AHCI)
    assert guest.read(0xA8, 8) == 0
    assert guest.write(0xA8, 0xFFFF_FFFF_FFFF_FFFF, 8) == ()
    assert guest.device == AHCI.config


def test_without_one_that_works_there_is_no_list() -> None:
    hidden = bytes([0x07, 0, 0, 0, 0, 0, 0, 0])
    guest = Guest(with_config(config((1, 1), [(0x40, hidden)])))
    assert guest.read(0x06, 2) & 0x10 == 0
    assert guest.read(0x34, 1) == 0


@EVERY
def test_the_lists_cannot_be_written(shape: Shape) -> None:
    guest = Guest(shape)
    before, extended = guest.capabilities(), guest.extended()
    for _, offset in before:
        guest.write(offset, 0xA5A5, 2)
    for _, offset in extended:
        guest.write(offset, 0xA5A5A5A5)
    guest.write(0x34, 0xFFFFFFFF)
    assert (guest.capabilities(), guest.extended()) == (before, extended)
    assert guest.device == shape.config


def test_a_vendors_registers_are_the_devices_and_so_are_those_between_capabilities() -> None:
    guest = Guest(AHCI)
    assert guest.read(0x4B) == 0xEFBEADDE
    assert guest.write(0x4B, 0x55, 1) == (Forward(0x4B, b"\x55"),)
    assert guest.write(0xC0, 0x1234, 2) == (Forward(0xC0, b"\x34\x12"),)


def test_the_two_halves_of_a_vpd_read_reach_the_device() -> None:
    guest = Guest(RTL8139)
    assert guest.write(0x62, 0x0004, 2) == (Forward(0x62, b"\x04\0"),)
    guest.device[0x62:0x68] = b"\x04\x80ABCD"  # the flag says that it is done
    assert guest.read(0x62, 2) == 0x8004
    assert guest.read(0x64) == int.from_bytes(b"ABCD", "little")


def test_nobody_promises_to_serve_a_power_management_event() -> None:
    guest = Guest(NVME)
    assert guest.read(0x42, 2) == 0x0003
    guest.device[0x45] = 0x81  # PME status and enable
    assert guest.read(0x44, 2) == 0x0008
    assert guest.write(0x44, 0x8108, 2) == (Forward(0x44, b"\x08"),)


def with_link(version: int, kind: int, body: int = 0x3C) -> Guest:
    """A PCI Express function of this type whose link registers all say something."""
    cap = bytearray(bytes([0x10, 0, kind << 4 | version, 0]).ljust(0x0C, b"\0") + b"\xa5" * (body - 0x0C))
    return Guest(with_config(config((1, 1), [(0x40, bytes(cap)), (0x40 + body, power())])))


def test_an_endpoint_without_a_port_above_it_is_integrated_and_has_no_link() -> None:
    """PCI Express 5.0, 7.5.3.2: on bus 0 there is no other. Its version, and what it can do itself, is the device's."""
    guest = with_link(2, 0)
    assert guest.read(0x42, 2) == 0x0092
    assert [guest.read(0x40 + link) for link in (0x0C, 0x10, 0x2C, 0x30)] == [0, 0, 0, 0]
    assert [guest.read(0x40 + other) for other in (0x14, 0x18, 0x24, 0x28)] == [0xA5A5A5A5] * 4
    assert [guest.write(0x40 + link, 0x23, 2) for link in (0x0C, 0x10, 0x12, 0x30)] == [()] * 4
    assert guest.write(0x42, 0x02, 1) == ()
    assert guest.write(0x68, 0x5936, 2) == (Forward(0x68, b"\x36\x59"),)


def test_an_endpoint_of_version_1_loses_its_one_link_and_nothing_behind_it() -> None:
    guest = with_link(1, 0, body=0x14)
    assert (guest.read(0x42, 2), guest.read(0x4C), guest.read(0x50)) == (0x0091, 0, 0)
    assert guest.capabilities() == [(0x10, 0x40), (0x01, 0x54)]
    short = with_link(2, 0, body=0x10)  # whatever says of itself that it is longer
    assert (short.read(0x4C), short.read(0x50, 1)) == (0, 0x01)


@pytest.mark.parametrize("kind", [1, 9], ids=["legacy", "integrated"])
def test_what_may_be_without_a_port_stays_what_it_is(kind: int) -> None:
    guest = with_link(2, kind)
    assert guest.read(0x42, 2) == kind << 4 | 2
    assert guest.read(0x4C) == 0xA5A5A5A5


def test_an_endpoint_hears_what_is_written_to_its_own_control() -> None:
    guest = Guest(NVME)
    assert guest.write(0x78, 0x5936, 2) == (Forward(0x78, b"\x36\x59"),)
    assert guest.read(0x78, 2) == 0x5936


def test_a_second_capability_of_a_kind_is_hidden_unless_it_is_the_vendors() -> None:
    found = [(0x40, power()), (0x50, vendor(b"a")), (0x58, power()), (0x60, vendor(b"b"))]
    guest = Guest(with_config(config((1, 1), found)))
    assert guest.capabilities() == [(0x01, 0x40), (0x09, 0x50), (0x09, 0x60)]
    assert guest.write(0x5C, 3, 1) == ()


@pytest.mark.parametrize(
    ("offset", "body", "fits"),
    [
        (0xF4, msix(4, (0, 0), (0, 0x800)), True),
        (0xF8, msix(4, (0, 0), (0, 0x800)), False),
        (0xE8, msi(masks=True), True),
        (0xEC, msi(masks=True), False),
        (0xF8, express(), False),
        (0xF8, power(), True),
        (0xFC, power(), False),
        (0xFC, advanced(), False),
    ],
)
def test_a_capability_that_has_no_room_before_the_end_is_hidden(offset: int, body: bytes, fits: bool) -> None:
    image = bytearray(config((1, 1), [(0x40, power())], [(0x100, AER, bytes(8))], size=4096))
    image[0x40], image[0x41] = 0x03, offset
    image[offset:0x100] = body[: 0x100 - offset].ljust(0x100 - offset, b"\0")
    guest = Guest(with_config(bytes(image)))
    assert guest.capabilities() == [(0x03, 0x40), *([(body[0], offset)] if fits else [])]
    assert guest.extended() == [(AER, 0x100)]


@pytest.mark.parametrize(("offset", "whole"), [(0x48, False), (0x4C, True)])
def test_a_capability_in_which_another_begins_is_hidden(offset: int, whole: bool) -> None:
    image = bytearray(config((1, 1), [(0x40, power()), (offset, power())]))
    image[0x40 : 0x40 + 10] = bytes([0x05, offset]) + bytes(8)  # MSI, of 10 bytes
    image[offset : offset + 8] = power()
    guest = Guest(with_config(bytes(image)))
    assert guest.capabilities() == [*([(0x05, 0x40)] if whole else []), (0x01, offset)]
    if not whole:
        assert guest.write(0x42, 1, 2) == ()


def test_a_list_that_turns_back_on_itself_ends() -> None:
    image = bytearray(config((1, 1), [(0x40, power()), (0x48, vendor(b""))]))
    image[0x49] = 0x40
    assert Guest(with_config(bytes(image))).capabilities() == [(0x01, 0x40), (0x09, 0x48)]


# ---- extended ones ----


def test_what_needs_the_hosts_bridges_or_iommu_is_not_in_the_extended_list() -> None:
    guest = Guest(VIRTUAL)
    assert guest.extended() == [(AER, 0x140), (SERIAL, 0x1D0)]
    assert guest.read(0x100) == 0x140 << 20
    for offset in (0x104, 0x124, 0x1A4, 0x1C4):
        assert guest.read(offset) == 0
        assert guest.write(offset, 0x8000_8000) == ()


@pytest.mark.parametrize("kind", [SRIOV, REBAR, PASID])
def test_registers_behind_the_last_hidden_one_are_still_the_devices(kind: int) -> None:
    found = [(0x100, AER, bytes(8)), (0x200, kind, b"\xff" * 0x3C)]
    guest = Guest(with_config(config((1, 1), [(0x40, express())], found, size=4096)))
    assert guest.extended() == [(AER, 0x100)]
    assert guest.read(0x204) == 0
    assert guest.write(0xF00, 7, 1) == (Forward(0xF00, b"\x07"),)


def test_when_all_are_hidden_there_is_none() -> None:
    found = [(0x100, SRIOV, bytes(0x3C)), (0x160, PASID, bytes(4))]
    guest = Guest(with_config(config((1, 1), [(0x40, express())], found, size=4096)))
    assert (guest.read(0x100), guest.extended()) == (0, [])


# ---- accesses of any shape ----


def test_a_conventional_function_has_nothing_behind_its_256_bytes() -> None:
    guest = Guest(RTL8139)
    assert guest.read(0x100) == 0xFFFF_FFFF
    assert guest.write(0x100, 0) == ()
    assert guest.asked == []


def test_an_access_over_the_end_reaches_as_far_as_there_is_something() -> None:
    guest = Guest(RTL8139)
    guest.device[0xFC:0x100] = b"\x01\x02\x03\x04"
    assert guest.read(0xFC, 8) == 0xFFFF_FFFF_0403_0201
    assert guest.write(0xFC, 0x1122_3344_5566_7788, 8) == (Forward(0xFC, b"\x88\x77\x66\x55"),)


def test_eight_bytes_at_once_are_as_two_times_four() -> None:
    one, two = Guest(E1000E), Guest(E1000E)
    for offset in range(0, 0x100, 8):
        assert one.read(offset, 8) == two.read(offset) | two.read(offset + 4) << 32
        one.write(offset, 0xA5A5_5A5A_0F0F_F0F0, 8)
        two.write(offset, 0x0F0F_F0F0)
        two.write(offset + 4, 0xA5A5_5A5A)
    assert one.device == two.device
    assert one.function.interrupt == two.function.interrupt


def test_an_unaligned_write_over_the_edge_of_a_shadow_goes_on_only_for_what_is_not_ours() -> None:
    guest = Guest(AHCI)
    # The last two bytes before MSI are nobody's, then come its id and the next pointer.
    assert guest.write(0x7E, 0xAABB_CCDD) == (Forward(0x7E, b"\xdd\xcc"),)
    assert guest.capabilities()[0] == (0x05, 0x80)


@EVERY
def test_a_device_that_does_not_answer_reads_as_ones_where_it_is_asked(shape: Shape) -> None:
    guest = Guest(shape)
    assert guest.function.read(0x08, 4, lambda offset, size: b"") == b"\xff\xff\xff\xff"
    assert guest.function.read(0x00, 4, lambda offset, size: b"") == shape.config[:4]


def test_the_host_bridge_is_a_conventional_function_without_registers_of_its_own() -> None:
    image = host_bridge()
    assert (image[0x0A:0x0C], image[0x0E]) == (b"\x00\x06", 0)  # class: host bridge; type 0 header
    assert not any(image[0x10:0x100])
    assert image[0x100:] == b"\xff" * 0xF00  # as what does not answer reads
