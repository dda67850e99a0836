"""The x86 PC, as planner and runner have it. Pure."""

from __future__ import annotations

from launcher.machine.board import Board, Platform, Port
from launcher.machine.start import Patch
from launcher.machine.x86 import acpi, apic_ids, cpu, layout, linux64, mptable, pvh, smbios
from launcher.machine.x86.e820 import memory_map
from launcher.machine.x86.host_bridge import host_bridge
from launcher.machine.x86.pins import FIRST_MESSAGE_GSI, INTX_LINES, pins
from launcher.plan.steps import Topology
from launcher.values import Span


def _tables(topology: Topology, window: Span | None) -> tuple[Patch, ...]:
    """ACPI's, and the same for who does not read those."""
    return (*acpi.tables(topology, window), *mptable.mp_table(topology))


def _platform() -> Platform:
    from launcher.machine.x86 import platform

    return platform


def _intx_line(slot: int, pin: int) -> int:
    return INTX_LINES[acpi.intx_gsi(slot, pin)]


X86 = Board(
    layout=layout.LAYOUT,
    ports=(
        Port(layout.COM1, "serial"),
        Port(layout.PM, "power"),
        Port(layout.KEYBOARD_CONTROLLER, "keyboard"),
        Port(layout.PCI_CONFIG, "pci"),
    ),
    serial_gsi=layout.COM1_GSI,
    power_gsi=layout.SCI_GSI,
    pins=pins(),
    first_message_gsi=FIRST_MESSAGE_GSI,
    intx_gsi=acpi.intx_gsi,
    intx_line=_intx_line,
    host_bridge=host_bridge(),
    tables=_tables,
    identity=smbios.patches,
    memory_map=memory_map,
    starts={"pvh": pvh, "linux64": linux64},
    vcpu_ids=apic_ids.apic_ids,
    cpuid=cpu.cpuid,
    first_msrs=cpu.FIRST_MSRS,
    platform=_platform,
)
