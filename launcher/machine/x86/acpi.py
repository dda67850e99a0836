"""(topology, high window) -> the ACPI tables as bytes for guest memory: classic hardware (ACPI 6.4, 5). Pure."""

from __future__ import annotations

import struct

from launcher.machine.start import Patch
from launcher.machine.x86 import aml, layout
from launcher.machine.x86.apic_ids import apic_ids
from launcher.plan.steps import Topology
from launcher.values import Span, align_up

OEM, CREATOR = b"VMLNCH", b"VMLN"
SLOTS, PINS = 32, 4
FIRST_INTX_GSI = 16  # PCI interrupts: GSI 16 + (slot + pin) % 4

# FADT flags (table 5-10) and IA-PC boot flags (table 5-11)
WBINVD, PROC_C1, NO_SLEEP_BUTTON, RESET_REGISTER = 1 << 0, 1 << 2, 1 << 5, 1 << 10
NO_VGA, NO_RTC = 1 << 2, 1 << 5
SYSTEM_IO, BYTE_ACCESS = 1, 1
RESET_VALUE = 0x06

LOCAL_APIC, IO_APIC, OVERRIDE, LOCAL_NMI = 0, 1, 2, 4
ENABLED = 1
LEVEL_ACTIVE_HIGH = 0x000D
ALL_PROCESSORS = 0xFF


def tables(
    topology: Topology, window: Span | None, bars: Span = layout.BARS_32, *, timer: bool = False
) -> tuple[Patch, ...]:
    """All tables, the RSDP first. `window`: where 64-bit BARs go; None: the guest has none. `bars`: where others go.

    `timer`: the machine has a PM timer."""
    place = layout.ACPI_TABLES.start + 64
    placed: list[Patch] = []

    def put(content: bytes) -> int:
        nonlocal place
        placed.append(Patch(place, content))
        start, place = place, align_up(place + len(content), 64)
        return start

    facs = put(_facs())
    dsdt = put(_dsdt(window, bars))
    roots = [put(_fadt(facs, dsdt, timer=timer)), put(_madt(topology)), put(_mcfg())]
    rsdp = _rsdp(put(_table(b"XSDT", 1, struct.pack(f"<{len(roots)}Q", *roots))))
    if place > layout.ACPI_TABLES.end:
        raise ValueError(f"ACPI tables for {topology.count} vCPUs do not fit")
    return (Patch(layout.ACPI_TABLES.start, rsdp), *placed)


def intx_gsi(slot: int, pin: int) -> int:
    """The GSI of a pin, 1 to 4 for INTA to INTD; _PRT tells the guest the same."""
    return FIRST_INTX_GSI + (slot + pin - 1) % PINS


def _table(signature: bytes, revision: int, body: bytes) -> bytes:
    """System description table header (5.2.6) with its checksum."""
    length = 36 + len(body)
    header = struct.pack("<4sIBB6s8sI4sI", signature, length, revision, 0, OEM, b"VMLAUNCH", 1, CREATOR, 1)
    return summed(header + body, 9)


def summed(table: bytes, place: int) -> bytes:
    """The byte at `place` makes the sum of all 0."""
    return table[:place] + bytes([-sum(table) % 256]) + table[place + 1 :]


def _rsdp(xsdt: int) -> bytes:
    """5.2.5.3: the first 20 bytes sum to 0, and so does the whole."""
    first = summed(struct.pack("<8sB6sBI", b"RSD PTR ", 0, OEM, 2, 0), 8)
    return summed(first + struct.pack("<IQB3x", 36, xsdt, 0), 32)


def _facs() -> bytes:
    return struct.pack("<4sII", b"FACS", 64, 0).ljust(64, b"\0")


def _port(port: int, bits: int) -> bytes:
    """Generic address structure (5.2.3.2)."""
    return struct.pack("<BBBBQ", SYSTEM_IO, bits, 0, BYTE_ACCESS if bits == 8 else 0, port)


def _fadt(facs: int, dsdt: int, *, timer: bool) -> bytes:
    """Revision 6 (table 5-9). No SMI command: the guest finds ACPI enabled. A PM timer may be left out (table 5-9,
    PM_TMR_LEN): each look at it leaves the kernel, and KVM has a clock that does not. Firmware has no other.
    """
    event, control, tick = layout.PM_BASE, layout.PM_BASE + 4, layout.PM_TIMER.start if timer else 0
    flags = WBINVD | PROC_C1 | NO_SLEEP_BUTTON | RESET_REGISTER
    body = struct.pack("<IIBBHIBBBB", facs, dsdt, 0, 0, layout.SCI_GSI, 0, 0, 0, 0, 0)
    body += struct.pack("<IIIIIIII", event, 0, control, 0, 0, tick, 0, 0)
    lengths = 4, 2, 0, 4 if timer else 0, 0, 0  # event, control, PM2, timer, GPE0, GPE1
    body += struct.pack("<BBBBBBBB", *lengths, 0, 0)
    body += struct.pack("<HHHHBBBBB", 0x0FFF, 0x0FFF, 0, 0, 0, 0, 0, 0, 0)  # C2, C3 not supported
    body += struct.pack("<HBI", NO_VGA | NO_RTC, 0, flags)
    body += _port(layout.RESET_CONTROL, 8) + struct.pack("<BHB", RESET_VALUE, 0, 3)
    body += struct.pack("<QQ", facs, dsdt)
    nothing = bytes(12)
    body += _port(event, 32) + nothing + _port(control, 16)
    body += nothing * 2 + (_port(tick, 32) if timer else nothing)  # PM1b, PM2, timer
    body += nothing * 4 + bytes(8)  # GPE0, GPE1, sleep control and status; hypervisor identity
    return _table(b"FACP", 6, body)


def _madt(topology: Topology) -> bytes:
    """Local APICs, one I/O APIC, GSI 2 for the timer's IRQ 0, the SCI as a level, LINT1 as NMI (5.2.12)."""
    body = struct.pack("<II", layout.MSI.start, 1)
    ids = enumerate(apic_ids(topology))
    body += b"".join(struct.pack("<BBBBI", LOCAL_APIC, 8, n, apic_id, ENABLED) for n, apic_id in ids)
    body += struct.pack("<BBBBII", IO_APIC, 12, 0, 0, layout.IOAPIC.start, 0)
    body += struct.pack("<BBBBIH", OVERRIDE, 10, 0, 0, 2, 0)
    body += struct.pack("<BBBBIH", OVERRIDE, 10, 0, layout.SCI_GSI, layout.SCI_GSI, LEVEL_ACTIVE_HIGH)
    body += struct.pack("<BBBHB", LOCAL_NMI, 6, ALL_PROCESSORS, 0, 1)
    return _table(b"APIC", 5, body)


def _mcfg() -> bytes:
    return _table(b"MCFG", 1, bytes(8) + struct.pack("<QHBB4x", layout.ECAM.start, 0, 0, 0))


def _dsdt(window: Span | None, bars: Span) -> bytes:
    sleep = aml.name("\\_S5", aml.package(*[aml.integer(0)] * 4))
    return _table(b"DSDT", 2, aml.scope("\\_SB", _host_bridge(window, bars), _reserved(), _serial()) + sleep)


def _host_bridge(window: Span | None, bars: Span) -> bytes:
    ports = layout.PCI_CONFIG
    windows = [
        aml.bus_numbers(0, 0),
        aml.io_ports(ports.start, ports.size),
        aml.port_window(0, ports.start - 1),
        aml.port_window(ports.end, 0xFFFF),
        aml.memory_window_32(bars.start, bars.last),
    ]
    if window is not None:
        windows.append(aml.memory_window_64(window.start, window.last))
    return aml.device(
        "PCI0",
        aml.name("_HID", aml.eisa_id("PNP0A08")),
        aml.name("_CID", aml.eisa_id("PNP0A03")),
        aml.name("_SEG", aml.ZERO),
        aml.name("_BBN", aml.ZERO),
        aml.name("_UID", aml.ZERO),
        aml.name("_CRS", aml.resources(*windows)),
        aml.name("_PRT", _routing()),
    )


def _routing() -> bytes:
    """_PRT has the GSI of every pin of every slot; it numbers pins from 0 (6.2.13)."""
    return aml.package(
        *(
            aml.package(
                aml.integer(slot << 16 | 0xFFFF), aml.integer(pin), aml.ZERO, aml.integer(intx_gsi(slot, pin + 1))
            )
            for slot in range(SLOTS)
            for pin in range(PINS)
        )
    )


def _reserved() -> bytes:
    """A device must claim the ECAM window, or Linux does not use it."""
    ecam = aml.fixed_memory(layout.ECAM.start, layout.ECAM.size)
    return aml.device("MBRD", aml.name("_HID", aml.eisa_id("PNP0C02")), aml.name("_CRS", aml.resources(ecam)))


def _serial() -> bytes:
    ports = aml.io_ports(layout.COM1.start, layout.COM1.size)
    return aml.device(
        "COM1",
        aml.name("_HID", aml.eisa_id("PNP0501")),
        aml.name("_UID", aml.ONE),
        aml.name("_CRS", aml.resources(ports, aml.interrupt_line(layout.COM1_GSI))),
    )
