"""How a guest has a function interrupt: INTx, MSI, MSI-X; one at a time, and never more than the function can."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.machine.msix import MOST_VECTORS, MsixTable
from launcher.plan.changes import Interrupt, Vector
from launcher.record import replace
from tests.unit.machine.devices import AHCI, E1000E, NVME, RTL8139, VIRTUAL, Guest, config, msi

LOCAL_APIC = 0xFEE00000
INTX, NONE = Interrupt("intx"), Interrupt("none")
MSIX_ON, MSIX_MASKED = 0x8000, 0xC000


def with_msi(messages: int, *, wide: bool, masks: bool) -> Guest:
    """One that has it at 0x50."""
    image = config((1, 1), [(0x50, msi(messages, wide=wide, masks=masks))])
    return Guest(replace(NVME, config=image))


def masked(count: int) -> Interrupt:
    return Interrupt("msix", (None,) * count)


# ---- INTx ----


def test_a_function_begins_with_its_pin_if_it_has_one() -> None:
    assert Guest(E1000E).function.interrupt == INTX
    assert Guest(VIRTUAL).function.interrupt == NONE
    assert Guest(replace(RTL8139, intx=False)).function.interrupt == NONE


# ---- MSI ----


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("masks", [True, False])
def test_messages_are_what_the_guest_wrote_before_it_switched_them_on(wide: bool, masks: bool) -> None:
    guest = with_msi(2, wide=wide, masks=masks)
    data = 0x5C if wide else 0x58
    assert guest.write(0x54, LOCAL_APIC | 0x1003) == ()
    assert guest.write(data, 0x4041, 2) == ()
    if wide:
        assert guest.write(0x58, 0x12) == ()
    high = 0x12_0000_0000 if wide else 0
    assert guest.read(0x54) == LOCAL_APIC | 0x1000
    expected = tuple(Vector(high | LOCAL_APIC | 0x1000, 0x4040 | n) for n in range(4))
    assert guest.write(0x52, 0x21, 2) == (Interrupt("msi", expected),)
    assert guest.write(0x52, 0x20, 2) == (INTX,)


@pytest.mark.parametrize(("capable", "asked", "had"), [(0, 7, 1), (2, 7, 4), (5, 7, 32), (5, 3, 8), (7, 7, 32)])
def test_a_guest_gets_no_more_messages_than_the_function_has(capable: int, asked: int, had: int) -> None:
    (change,) = with_msi(capable, wide=True, masks=False).write(0x52, asked << 4 | 1, 2)
    assert isinstance(change, Interrupt)
    assert len(change.vectors) == had


@pytest.mark.parametrize("wide", [True, False])
def test_each_message_has_a_mask_where_the_function_has_masks(wide: bool) -> None:
    guest = with_msi(1, wide=wide, masks=True)
    mask = 0x60 if wide else 0x5C
    guest.write(0x54, LOCAL_APIC)
    guest.write(0x52, 0x11, 2)
    both = Vector(LOCAL_APIC, 0), Vector(LOCAL_APIC, 1)
    assert guest.write(mask, 0b10) == (Interrupt("msi", (both[0], None)),)
    assert guest.write(mask, 0xFFFFFFFF) == (Interrupt("msi", (None, None)),)
    assert guest.write(mask, 0) == (Interrupt("msi", both),)
    assert guest.write(mask + 4, 0xFFFFFFFF) == ()
    assert guest.read(mask + 4) == 0


def test_without_masks_what_is_behind_the_message_is_the_devices() -> None:
    guest = with_msi(1, wide=True, masks=False)
    guest.write(0x52, 0x11, 2)
    before = guest.function.interrupt
    guest.write(0x60, 0xFFFFFFFF)
    assert guest.function.interrupt == before
    assert guest.device[0x60:0x64] == b"\xff" * 4


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("masks", [True, False])
def test_no_byte_of_a_message_reaches_the_device(wide: bool, masks: bool) -> None:
    guest = with_msi(5, wide=wide, masks=masks)
    before = bytes(guest.device)
    for offset in range(0x50, 0x50 + len(msi(5, wide=wide, masks=masks))):
        guest.write(offset, 0xFF, 1)
    assert guest.device == before


def test_what_a_function_says_of_its_messages_is_kept_but_not_that_it_has_wide_data() -> None:
    image = bytearray(config((1, 1), [(0x50, msi(3))]))
    image[0x53] |= 0x02  # extended message data
    image[0x52] |= 0x31  # left on by somebody
    guest = Guest(replace(NVME, config=bytes(image)))
    assert guest.read(0x52, 2) == 0x0086
    guest.write(0x52, 0xFFFF, 2)
    assert guest.read(0x52, 2) == 0x00F7


# ---- MSI-X ----


def test_linux_switches_msix_on_with_all_masked_fills_the_table_and_unmasks_one_by_one() -> None:
    guest = Guest(NVME)
    control, vectors = 0xB2, range(3)
    assert guest.read(control, 2) == 32
    assert guest.write(control, MSIX_MASKED | 32, 2) == (masked(1),)
    for n in vectors:  # the interrupt domain writes messages while all are masked
        assert guest.write_entry(n, 0, LOCAL_APIC) == ()
        assert guest.write_entry(n, 4, 0) == ()
        assert guest.write_entry(n, 8, 0x40 + n) == ()
    for n in range(33):
        assert guest.write_entry(n, 12, 1) == ()
    assert guest.write(control, MSIX_ON | 32, 2) == (masked(3),)
    assert guest.write_entry(1, 8, 0x51) == ()  # changed while masked
    assert guest.write_entry(1, 12, 0) == (Interrupt("msix", (None, Vector(LOCAL_APIC, 0x51), None)),)
    assert guest.write_entry(0, 12, 0) == (
        Interrupt("msix", (Vector(LOCAL_APIC, 0x40), Vector(LOCAL_APIC, 0x51), None)),
    )


def test_an_interrupt_moves_to_another_cpu_by_mask_message_unmask() -> None:
    guest = Guest(E1000E)
    guest.write_entry(0, 0, LOCAL_APIC)
    guest.write_entry(0, 12, 0)
    guest.write(0xA2, MSIX_ON, 2)
    assert guest.write_entry(0, 12, 1) == (masked(1),)
    assert guest.write_entry(0, 0, LOCAL_APIC | 0x1000) == ()
    assert guest.write_entry(0, 8, 0x22) == ()
    assert guest.write_entry(0, 12, 0) == (Interrupt("msix", (Vector(LOCAL_APIC | 0x1000, 0x22),)),)


def test_the_mask_of_all_silences_vectors_and_takes_none_away() -> None:
    guest = Guest(E1000E)
    for n in range(3):
        guest.write_entry(n, 0, LOCAL_APIC)
        guest.write_entry(n, 12, 0)
    full = (Vector(LOCAL_APIC, 0),) * 3
    assert guest.write(0xA2, MSIX_ON, 2) == (Interrupt("msix", full),)
    assert guest.write(0xA3, MSIX_MASKED >> 8, 1) == (masked(3),)
    assert guest.write_entry(3, 12, 0) == ()
    assert guest.write(0xA3, MSIX_ON >> 8, 1) == (Interrupt("msix", (*full, Vector(0, 0))),)


def test_a_guest_that_switches_msix_off_has_its_pin_back_and_finds_its_table_again() -> None:
    guest = Guest(E1000E)
    guest.write_entry(0, 0, LOCAL_APIC)
    guest.write_entry(0, 12, 0)
    on = (Interrupt("msix", (Vector(LOCAL_APIC, 0),)),)
    for _ in range(3):
        assert guest.write(0xA2, MSIX_ON, 2) == on
        assert guest.write(0xA2, 0, 2) == (INTX,)
        assert guest.write_entry(0, 8, 0) == ()
    assert guest.function.table.read(0, 4) == LOCAL_APIC.to_bytes(4, "little")


def test_a_function_without_a_pin_falls_back_to_nothing() -> None:
    guest = Guest(VIRTUAL)
    assert guest.write(0x72, MSIX_MASKED, 2) == (masked(1),)
    assert guest.write(0x72, 0, 2) == (NONE,)


def test_a_vector_that_is_added_later_does_not_disturb_the_others() -> None:
    guest = Guest(NVME)
    guest.write(0xB2, MSIX_ON, 2)
    guest.write_entry(0, 12, 0)
    first = Vector(0, 0)
    assert guest.write_entry(4, 0, LOCAL_APIC) == (Interrupt("msix", (first, None, None, None, None)),)


def test_only_one_way_is_on_at_a_time() -> None:
    guest = Guest(E1000E)
    assert guest.write(0xD2, 1, 2) == (Interrupt("msi", (Vector(0, 0),)),)
    assert guest.write(0xA2, MSIX_ON, 2) == (masked(1),)
    assert guest.write(0xD4, LOCAL_APIC) == ()  # MSI is not in use
    assert guest.write(0xA2, 0, 2) == (Interrupt("msi", (Vector(LOCAL_APIC, 0),)),)
    assert guest.write(0xD2, 0, 2) == (INTX,)


def test_where_the_tables_are_and_how_many_vectors_there_are_is_fixed() -> None:
    guest = Guest(NVME)
    guest.write(0xB2, 0x3FFF, 2)
    guest.write(0xB4, 0xFFFF_FFFF_FFFF_FFFF, 8)
    assert guest.read(0xB2, 2) == 32
    assert guest.read(0xB4, 8) == 0x2000_0000_3000
    assert guest.device == NVME.config


def test_pending_bits_are_read_in_any_width() -> None:
    function, waiting = Guest(NVME).function, 1 << 32 | 1 << 9 | 1
    assert function.pending(0, 8, waiting) == bytes([1, 2, 0, 0, 1, 0, 0, 0])
    assert function.pending(1, 1, waiting) == b"\x02"
    assert function.pending(4, 4, waiting) == b"\x01\0\0\0"
    assert function.pending(8, 8, waiting) == bytes(8)


def test_a_function_without_msix_has_no_tables() -> None:
    function = Guest(AHCI).function
    assert function.msix_spans() is None
    assert function.write_table(0, b"\xff" * 4) == ()


# ---- the table ----

usual = st.tuples(st.integers(0, 24).map(lambda n: 4 * n), st.sampled_from([bytes(4), b"\1\0\0\0", b"\xff" * 8]))
odd = st.tuples(st.integers(0, 16 * 6), st.binary(min_size=1, max_size=8))
writes = st.lists(st.one_of(usual, odd), max_size=40)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 5), writes)
def test_a_table_says_of_each_entry_what_its_bytes_say_and_tells_when_that_changes(vectors: int, many: list) -> None:
    table, before = MsixTable(vectors), ()
    for offset, data in many:
        changed = table.write(offset, data)
        now = tuple(spelled_out(table.read(16 * n, 16)) for n in range(vectors))
        while now and now[-1] == (0, None):
            now = now[:-1]
        assert table.messages == tuple(message for _, message in now)
        assert changed == (table.messages != before)
        before = table.messages


def spelled_out(entry: bytes) -> tuple[int, Vector | None]:
    """Whether it counts, and its message."""
    assert entry[12] in (0, 1)
    assert entry[13:] == b"\0\0\0"
    address, data = int.from_bytes(entry[:8], "little"), int.from_bytes(entry[8:12], "little")
    return (int(bool(address) or not entry[12]), None if entry[12] else Vector(address & ~3, data))


def test_entries_that_are_masked_and_empty_again_are_not_in_use() -> None:
    table = MsixTable(8)
    for vector in (2, 5):
        table.write(16 * vector + 12, bytes(4))
    assert len(table.messages) == 6
    assert table.write(16 * 5 + 12, b"\1\0\0\0")
    assert table.messages == (None, None, Vector(0, 0))
    assert table.write(16 * 2 + 12, b"\1\0\0\0")
    assert table.messages == ()


def test_a_table_has_at_most_2048_entries_and_nothing_behind_them() -> None:
    table = MsixTable(MOST_VECTORS)
    assert table.write(16 * MOST_VECTORS - 4, bytes(8))
    assert table.messages == (*(None,) * (MOST_VECTORS - 1), Vector(0, 0))
    assert table.read(16 * MOST_VECTORS - 4, 8) == bytes(8)
    assert not table.write(16 * MOST_VECTORS, bytes(8))
