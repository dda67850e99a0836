"""A topology in, the MP table as bytes for guest memory out (Intel MultiProcessor Specification 1.4, chapter 4). Pure.

For a guest that leaves the ACPI tables alone: the same processors, I/O APIC and interrupts in another form.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from launcher.machine.start import Patch
from launcher.machine.x86 import acpi, layout
from launcher.machine.x86.apic_ids import apic_ids
from launcher.machine.x86.pins import CASCADE, PIC_PINS, TIMER_PIN
from launcher.plan.steps import Topology

REVISION = 4  # of the specification, 1.4
PROCESSOR, BUS, IO_APIC, INTERRUPT, LOCAL_INTERRUPT = range(5)  # types of entries (table 4-3)
VECTORED, NMI, EXTERNAL = 0, 1, 3  # kinds of interrupts (table 4-11)
LOCAL_APIC_VERSION, IO_APIC_VERSION, IO_APIC_ID = 0x14, 0x11, 0  # KVM's, as their registers say
ENABLED, BOOTS = 1, 2
PCI, ISA = 0, 1  # ids of the buses; PCI's is its number
ALL_APICS = 0xFF
AS_THE_BUS = 0


def mp_table(topology: Topology) -> tuple[Patch, ...]:
    """The floating pointer, at the start of the area that is searched for it, and the table behind it. No IMCR: at the
    start the PIC's interrupts come by LINT0 (virtual wire mode, 3.6.2.2)."""
    start = layout.MP_TABLE.start
    pointer = struct.pack("<4sIBBBB4x", b"_MP_", start + 16, 1, REVISION, 0, 0)
    table = _table(tuple(_entries(topology)))
    if 16 + len(table) > layout.MP_TABLE.size:
        raise ValueError(f"an MP table for {topology.count} vCPUs does not fit")
    return Patch(start, acpi.summed(pointer, 10)), Patch(start + 16, table)


def _table(entries: tuple[bytes, ...]) -> bytes:
    """The header (table 4-2): no table of the maker's own, no extended part."""
    body = b"".join(entries)
    header = struct.pack(
        "<4sHBB8s12sIHHIHBx",
        b"PCMP", 44 + len(body), REVISION, 0, b"VMLAUNCH", b"VMLAUNCH".ljust(12),
        0, 0, len(entries), layout.MSI.start, 0, 0,
    )  # fmt: skip
    return acpi.summed(header + body, 7)


def _entries(topology: Topology) -> Iterator[bytes]:
    """In the order of their types, which is the specification's."""
    for n, apic_id in enumerate(apic_ids(topology)):
        flags = ENABLED | (0 if n else BOOTS)
        yield struct.pack("<BBBBII8x", PROCESSOR, apic_id, LOCAL_APIC_VERSION, flags, 0, 0)
    yield struct.pack("<BB6s", BUS, PCI, b"PCI".ljust(6))
    yield struct.pack("<BB6s", BUS, ISA, b"ISA".ljust(6))
    yield struct.pack("<BBBBI", IO_APIC, IO_APIC_ID, IO_APIC_VERSION, ENABLED, layout.IOAPIC.start)
    for irq in range(PIC_PINS):
        if irq != CASCADE:
            flags = acpi.LEVEL_ACTIVE_HIGH if irq == layout.SCI_GSI else AS_THE_BUS
            yield _interrupt(ISA, irq, TIMER_PIN if irq == 0 else irq, flags)
    for slot in range(acpi.SLOTS):
        for pin in range(acpi.PINS):
            yield _interrupt(PCI, slot << 2 | pin, acpi.intx_gsi(slot, pin + 1))
    yield struct.pack("<BBHBBBB", LOCAL_INTERRUPT, EXTERNAL, 0, ISA, 0, 0, 0)
    yield struct.pack("<BBHBBBB", LOCAL_INTERRUPT, NMI, 0, ISA, 0, ALL_APICS, 1)


def _interrupt(bus: int, irq: int, pin: int, flags: int = AS_THE_BUS) -> bytes:
    """`flags`: edge or level, and polarity, in the bits that ACPI has taken over."""
    return struct.pack("<BBHBBBB", INTERRUPT, VECTORED, flags, bus, irq, IO_APIC_ID, pin)
