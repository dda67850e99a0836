"""The MP table, read back as a guest without ACPI reads it."""

from __future__ import annotations

import struct

import pytest

from launcher.machine.boards import board_of
from launcher.plan.steps import Topology

BOARD = board_of("x86_64")
SIZES = {0: 20, 1: 8, 2: 8, 3: 8, 4: 8}
TOPOLOGIES = [Topology(1, 1, 1), Topology(1, 4, 1), Topology(2, 3, 2), Topology(1, BOARD.layout.most_vcpus, 1)]


def low_memory(topology: Topology) -> bytes:
    memory = bytearray(1 << 20)
    for patch in BOARD.tables(topology, None):
        memory[patch.guest : patch.guest + len(patch.data)] = patch.data
    return bytes(memory)


def entries(memory: bytes) -> list[bytes]:
    """By the floating pointer, found as Linux finds it: in steps of 16 bytes, by its sum."""
    places = range(0xF0000, 0x100000, 16)
    (place,) = (at for at in places if memory[at : at + 4] == b"_MP_" and sum(memory[at : at + 16]) % 256 == 0)
    table, length, revision = struct.unpack_from("<IBB", memory, place + 4)
    assert (length, revision, memory[place + 11 : place + 16]) == (1, 4, bytes(5))
    signature, size, spec, _, count, lapic = struct.unpack_from("<4sHBB26xHI", memory, table)
    assert (signature, spec, lapic) == (b"PCMP", 4, 0xFEE00000)
    assert sum(memory[table : table + size]) % 256 == 0
    found, at = [], table + 44
    for _ in range(count):
        found.append(memory[at : at + SIZES[memory[at]]])
        at += len(found[-1])
    assert at == table + size
    return found


@pytest.mark.parametrize("topology", TOPOLOGIES, ids=str)
def test_the_table_has_the_processors_that_kvm_has_and_the_first_one_boots(topology: Topology) -> None:
    found = [one for one in entries(low_memory(topology)) if one[0] == 0]
    assert tuple(one[1] for one in found) == BOARD.vcpu_ids(topology)
    assert [one[3] for one in found] == [3] + [1] * (topology.count - 1)
    assert {one[2] for one in found} == {0x14}


def test_each_pin_of_each_slot_has_the_gsi_that_prt_gives() -> None:
    found = [one for one in entries(low_memory(TOPOLOGIES[0])) if one[0] == 3]
    pci = {(one[5] >> 2, one[5] & 3): one[7] for one in found if one[4] == 0}
    assert pci == {(slot, pin): BOARD.intx_gsi(slot, pin + 1) for slot in range(32) for pin in range(4)}
    assert {one[6] for one in found} == {0}


def test_isa_interrupts_are_the_pins_that_kvm_routes_and_the_timer_is_pin_2() -> None:
    found = [one for one in entries(low_memory(TOPOLOGIES[0])) if one[0] == 3]
    isa = {one[5]: one[7] for one in found if one[4] == 1}
    assert isa == {pin.gsi: pin.pin for pin in BOARD.pins if pin.chip == "ioapic" and pin.gsi < 16}


def test_only_the_interrupt_of_acpi_is_a_level_on_a_bus_of_edges() -> None:
    found = [one for one in entries(low_memory(TOPOLOGIES[0])) if one[0] == 3]
    assert {(one[4], one[5]): one[2] for one in found if one[2]} == {(1, BOARD.power_gsi): 0x0D}


def test_buses_io_apic_and_local_interrupts_are_as_firmware_leaves_them() -> None:
    found = entries(low_memory(TOPOLOGIES[1]))
    assert [one[1:] for one in found if one[0] == 1] == [b"\0PCI   ", b"\x01ISA   "]
    assert [one for one in found if one[0] == 2] == [struct.pack("<BBBBI", 2, 0, 0x11, 1, 0xFEC00000)]
    local = [one for one in found if one[0] == 4]
    assert [(one[1], one[6], one[7]) for one in local] == [(3, 0, 0), (1, 0xFF, 1)]
