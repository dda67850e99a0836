"""BARs as a guest sizes, moves, switches on and loses them, and where it may put them."""

from __future__ import annotations

import pytest

from launcher.machine.policy import Shape
from launcher.machine.reachable import reachable
from launcher.machine.x86 import layout
from launcher.plan.changes import Change, Forward, HideBar, ShowBar
from launcher.plan.steps import BarPlace
from launcher.record import replace
from launcher.values import GIB, KIB, MIB, Span
from tests.unit.machine.devices import AHCI, E1000E, NVME, RTL8139, VIRTUAL, Guest

IO, MEMORY, MASTER = 1, 2, 4
RAM = (Span(0, GIB), Span(4 * GIB, GIB))


def on(shape: Shape) -> Guest:
    guest = Guest(shape)
    guest.write(0x04, IO | MEMORY | MASTER, 2)
    return guest


def places(changes: tuple[Change, ...]) -> tuple[Change, ...]:
    return tuple(one for one in changes if isinstance(one, HideBar | ShowBar))


def sized(guest: Guest, offset: int) -> int:
    """What reads back after all ones, with the old value put back, as every system does it."""
    before = guest.read(offset)
    guest.write(offset, 0xFFFFFFFF)
    answer = guest.read(offset)
    guest.write(offset, before)
    assert guest.read(offset) == before
    return answer


# ---- sizes ----


@pytest.mark.parametrize(
    ("shape", "bar", "answer"),
    [
        (E1000E, 0, 0xFFFE0000),
        (E1000E, 2, 0xFFFFFFE1),
        (E1000E, 4, 0),
        (NVME, 0, 0xFFFFC004),
        (NVME, 1, 0xFFFFFFFF),
        (VIRTUAL, 0, 0xFFFF000C),
        (RTL8139, 0, 0xFFFFFF01),
        (RTL8139, 1, 0xFFFFFF00),
        (AHCI, 5, 0xFFFFF808),
    ],
)
def test_a_bar_tells_its_size_and_kind(shape: Shape, bar: int, answer: int) -> None:
    assert sized(Guest(shape), 0x10 + 4 * bar) == answer


def test_a_bar_of_64_gib_is_told_in_both_halves() -> None:
    big = BarPlace(2, "mem64", prefetchable=True, size=64 * GIB, guest=64 * GIB, serve="mmap")
    guest = Guest(replace(NVME, bars=(big,)))
    assert (sized(guest, 0x18), sized(guest, 0x1C)) == (0x0000000C, 0xFFFFFFF0)
    assert guest.read(0x18, 8) == 64 * GIB | 0xC


def test_a_rom_tells_its_size_and_a_function_without_has_none() -> None:
    assert sized(Guest(E1000E), 0x30) == 0xFFFC0001
    assert sized(Guest(RTL8139), 0x30) == 0


def test_sizes_are_asked_of_nobody() -> None:
    guest = Guest(E1000E)
    for offset in (*range(0x10, 0x28, 4), 0x30):
        assert not any(isinstance(one, Forward) for one in guest.write(offset, 0xFFFFFFFF))
        guest.read(offset)
    assert guest.asked == []


# ---- places ----


def test_bars_appear_where_the_plan_put_them_after_the_device_has_heard_of_it() -> None:
    guest = Guest(E1000E)
    assert guest.write(0x04, IO | MEMORY, 2) == (
        Forward(0x04, b"\x03\0"),
        ShowBar(0, 0xC0100000),
        ShowBar(1, 0xC0120000),
        ShowBar(2, 0xC000),
        ShowBar(3, 0xC0140000),
    )


def test_ports_and_memory_are_switched_on_apart() -> None:
    guest = Guest(RTL8139)
    assert places(guest.write(0x04, IO, 2)) == (ShowBar(0, 0xC100),)
    assert places(guest.write(0x04, IO | MEMORY, 2)) == (ShowBar(1, 0xC0200000),)
    assert places(guest.write(0x04, MEMORY, 2)) == (HideBar(0),)


def test_memory_that_is_switched_off_goes_before_the_device_hears_of_it() -> None:
    assert on(NVME).write(0x04, MASTER, 2) == (HideBar(0), Forward(0x04, b"\x04\0"))


def test_the_upper_byte_of_the_command_moves_nothing() -> None:
    guest = on(NVME)
    assert guest.write(0x05, 0x04, 1) == (Forward(0x05, b"\x04"),)


def test_a_bar_that_is_moved_goes_and_comes() -> None:
    guest = on(NVME)
    assert guest.write(0x10, 0xC0104004) == (HideBar(0), ShowBar(0, 0xC0104000))
    assert guest.write(0x14, 0x40) == (HideBar(0), ShowBar(0, 0x40_C010_4000))
    assert guest.write(0x10, 0xC000_0000, 8) == (HideBar(0), ShowBar(0, 0xC0000000))
    assert guest.write(0x10, 0xC000_0000, 8) == ()


def test_a_bar_is_placed_by_single_bytes_as_well() -> None:
    guest = on(RTL8139)
    assert guest.write(0x15, 0x07, 1) == (HideBar(1), ShowBar(1, 0xC0200700))
    assert guest.read(0x14) == 0xC0200700


def test_a_bar_without_a_place_gets_one_from_the_guest() -> None:
    guest = on(replace(NVME, bars=(replace(NVME.bars[0], guest=None),)))
    assert guest.read(0x10, 8) == 4
    assert guest.write(0x10, 0xC0000000) == (HideBar(0), ShowBar(0, 0xC0000000))


def test_the_rom_is_there_while_it_and_memory_are_enabled() -> None:
    guest = on(E1000E)
    assert guest.write(0x30, 0xC0180001) == (ShowBar(6, 0xC0180000),)
    assert HideBar(6) in guest.write(0x04, 0, 2)
    assert ShowBar(6, 0xC0180000) in guest.write(0x04, MEMORY, 2)
    assert guest.write(0x30, 0xC0180000) == (HideBar(6),)


# ---- sleep and reset ----


def test_a_function_that_falls_asleep_loses_its_bars_before_and_gets_them_back_after() -> None:
    guest = on(NVME)
    assert guest.write(0x44, 0x0003, 2) == (HideBar(0), Forward(0x44, b"\x03"))
    assert guest.write(0x44, 0x0000, 2) == (Forward(0x44, b"\0"), ShowBar(0, 0xC0000000))


def test_nothing_appears_while_a_function_sleeps() -> None:
    guest = on(NVME)
    guest.write(0x44, 3, 1)
    assert guest.write(0x04, 0, 2) == (Forward(0x04, b"\0\0"),)
    assert guest.write(0x10, 0xC0104000) == ()
    assert guest.write(0x04, MEMORY, 2) == (Forward(0x04, b"\x02\0"),)
    assert guest.write(0x44, 0, 1)[1:] == (ShowBar(0, 0xC0104000),)


@pytest.mark.parametrize("state", [1, 2])
def test_a_light_sleep_keeps_the_bars(state: int) -> None:
    assert on(NVME).write(0x44, state, 1) == (Forward(0x44, bytes([state])),)


@pytest.mark.parametrize(
    ("shape", "offset", "size", "value"),
    [
        (NVME, 0x78, 2, 0xA810),
        (NVME, 0x78, 4, 0xA810),
        (NVME, 0x79, 1, 0xA8),
        (E1000E, 0xE8, 2, 0x8000),
        (AHCI, 0xB4, 1, 1),
        (AHCI, 0xB4, 2, 1),
    ],
)
def test_a_function_level_reset_takes_all_bars_and_gives_them_back(
    shape: Shape, offset: int, size: int, value: int
) -> None:
    guest = on(shape)
    changes = guest.write(offset, value, size)
    count = len(shape.bars)
    assert [one.index for one in changes[:count] if isinstance(one, HideBar)] == [bar.index for bar in shape.bars]
    assert changes[count] == Forward(offset, value.to_bytes(size, "little"))
    assert changes[count + 1 :] == tuple(ShowBar(bar.index, bar.guest or 0) for bar in shape.bars)


def test_the_bytes_beside_the_reset_bit_reset_nothing() -> None:
    guest = on(NVME)
    assert guest.write(0x78, 0x2810, 2) == (Forward(0x78, b"\x10\x28"),)
    assert guest.write(0x7A, 0x8000, 2) == (Forward(0x7A, b"\0\x80"),)
    assert on(AHCI).write(0xB4, 0xFE, 1) == (Forward(0xB4, b"\xfe"),)


# ---- where a guest may put one ----


@pytest.mark.parametrize(
    "span",
    [
        Span(layout.BARS_32.start, MIB),
        Span(0xC0000100, 256),
        Span(0xC0000F00, 256),
        Span(2 * GIB, GIB),
        Span(64 * GIB, 64 * GIB),
    ],
)
def test_memory_may_be_anywhere_between_ram_and_what_is_the_machines(span: Span) -> None:
    assert reachable(span, "memory", RAM, layout.LAYOUT)


@pytest.mark.parametrize(
    "span",
    [
        Span(0, 4 * KIB),
        Span(GIB - 4 * KIB, 8 * KIB),
        Span(GIB - 256, 512),
        Span(3 * GIB - 4 * KIB, 8 * KIB),
        layout.ECAM,
        Span(layout.ECAM.start - 4 * KIB, 8 * KIB),
        Span(layout.IOAPIC.start, 256),
        Span(layout.MSI.start, 4 * KIB),
        Span(0xFFFF_F000, 4 * KIB),
        Span(4 * GIB - 4 * KIB, 8 * KIB),
        Span(1 << 52, 4 * KIB),
        Span((1 << 64) - 4 * KIB, 4 * KIB),
    ],
)
def test_memory_may_not_lie_over_ram_or_what_is_the_machines(span: Span) -> None:
    assert not reachable(span, "memory", RAM, layout.LAYOUT)


def test_ports_end_at_64_kib() -> None:
    assert reachable(Span(0xFF00, 256), "port", RAM, layout.LAYOUT)
    assert not reachable(Span(0xFFFFFF00, 256), "port", RAM, layout.LAYOUT)


def test_a_mediated_device_that_heeds_no_command_is_switched_on_by_it_all_the_same() -> None:
    """As the kernel's samples, whose command register says for ever that they decode: a driver would write nothing."""
    heedless = bytearray(RTL8139.config)
    heedless[0x04] = IO | MEMORY
    guest = Guest(replace(RTL8139, config=bytes(heedless), mediated=True))
    assert guest.read(0x04, 1) == 0
    assert places(guest.write(0x04, IO | MASTER, 2)) == (ShowBar(0, 0xC100),)
    guest.device[0x04] = IO | MEMORY  # it has not listened
    assert guest.read(0x04, 1) == IO | MASTER
    assert Guest(replace(RTL8139, config=bytes(heedless))).read(0x04, 1) == IO | MEMORY
