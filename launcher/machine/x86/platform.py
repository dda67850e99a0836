"""The PC as firmware knows it: Intel's 440FX and PIIX4 by their ids, a PM timer, a clock, fw_cfg. Pure.

EDK2 (OvmfPkg) and SeaBIOS look for these ids, and drive what they belong to: nothing of it is there for other guests.
"""

from __future__ import annotations

import struct

from launcher.machine.board import FwCfgItems, Port, PortModel, Told
from launcher.machine.pci import CONFIG_SIZE, CONVENTIONAL_CONFIG, HOST_BRIDGE
from launcher.machine.start import Patch
from launcher.machine.x86 import acpi, cpu, layout, smbios, table_loader
from launcher.machine.x86.cmos import Cmos
from launcher.machine.x86.e820 import RAM, RESERVED
from launcher.machine.x86.fw_cfg import Content, FwCfg
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, KIB, MIB, PciAddress, Span

if TYPE_CHECKING:
    from collections.abc import Iterable

PORTS = (
    Port(layout.COM1, "serial"),
    Port(layout.PM, "power"),
    Port(layout.PM_TIMER, "timer"),
    Port(layout.KEYBOARD_CONTROLLER, "pulse"),  # EDK2 waits seconds for the keyboard of a controller that answers
    Port(layout.PCI_CONFIG, "pci"),
)
FIRST_MSRS = {cpu.MISC_ENABLE: cpu.FAST_STRINGS}  # MTRRs are firmware's to set: it expects them as after a reset

INTEL, SEVERAL = 0x8086, 0x80  # functions in one slot
ISA_BRIDGE, POWER = 1 << 3, 1 << 3 | 3  # 00:01.0 and 00:01.3, where firmware takes them to be
COMMAND, DECODES = 0x04, 0x07  # ports, memory, and bus mastering: a PIIX always does
PM_BASE, PM_ENABLE, SMI_DONE = 0x40, 0x80, 0x58  # registers of the PIIX4's power management


def _function(device: int, class_code: int, header: int = 0, registers: dict[int, int] | None = None) -> bytes:
    """Configuration space that the guest can only read."""
    space = bytearray(CONVENTIONAL_CONFIG)
    struct.pack_into("<HHHHIBBBB", space, 0, INTEL, device, 0, 0, class_code << 8, 0, 0, header, 0)
    for offset, value in (registers or {}).items():
        struct.pack_into("<I", space, offset, value)
    return bytes(space).ljust(CONFIG_SIZE, b"\xff")


FUNCTIONS = {
    HOST_BRIDGE: _function(0x1237, 0x060000),
    # EDK2 has its console on the serial port behind a bridge that decodes both, and on none behind another (SioBusDxe).
    ISA_BRIDGE: _function(0x7000, 0x060100, SEVERAL, {COMMAND: DECODES}),
    # APMC_EN: SeaBIOS takes SMM as set up, and would otherwise wait for it for ever.
    POWER: _function(0x7113, 0x068000, 0, {PM_BASE: layout.PM_BASE | 1, PM_ENABLE: 1, SMI_DONE: 1 << 25}),
}

SHADOW = Span(0xE0000, 128 * KIB)  # a PC's BIOS has its last 128 KiB here as well, and starts from there
UNPLANNED_WINDOW = 32 * GIB


def shadow(kind: str, code: bytes) -> tuple[Patch, ...]:
    if kind != "bios":
        return ()
    tail = code[-SHADOW.size :]
    return (Patch(SHADOW.end - len(tail), tail),)


def models(told: Told, items: FwCfgItems) -> tuple[PortModel, ...]:
    low, high = (sum(one.size for one in told.ram if (one.start < 4 * GIB) is below) for below in (True, False))
    return FwCfg(_files(told), told.topology.count, items), Cmos(low, high, told.now)


def _files(told: Told) -> dict[str, Content]:
    tables = _tables(told)
    files: dict[str, Content] = {
        "etc/e820": _e820(told),
        table_loader.RSDP: tables.rsdp,
        table_loader.SCRIPT: tables.script,
        table_loader.TABLES: lambda: _tables(told).tables,  # asked for when firmware has placed the BARs
        "etc/sercon-port": struct.pack("<H", layout.COM1.start),
    }
    if told.name:
        whose = smbios.tables(told.name, told.uuid)
        files["etc/smbios/smbios-anchor"] = smbios.anchor(len(whose), 0)  # firmware finds them a place
        files["etc/smbios/smbios-tables"] = whose
    if told.order:
        files["bootorder"] = "\n".join(map(_device_path, told.order)).encode() + b"\0"
    if told.kind == "uefi" and told.window is not None:  # the planner knows where EDK2 puts a window of this size
        files["opt/ovmf/X-PciMmio64Mb"] = str(told.window.size // MIB).encode()
    return files


def _tables(told: Told) -> table_loader.Placed:
    low = max(one.end for one in told.ram if one.start < 4 * GIB)
    bars = Span(low, layout.BARS_32.end - low)
    return table_loader.placed(acpi.tables(told.topology, _window(told), bars, timer=True))


def _window(told: Told) -> Span:
    """Around the BARs that firmware has put above 4 GiB; before it has, or where there are none, as planned."""
    high = [one for one in told.bars() if one.start >= 4 * GIB]
    if high:
        start = min(one.start for one in high)
        return Span(start, max(one.end for one in high) - start)
    end = max(4 * GIB, *(one.end for one in told.ram))
    return told.window or Span(-(-end // UNPLANNED_WINDOW) * UNPLANNED_WINDOW, UNPLANNED_WINDOW)


def _e820(told: Told) -> bytes:
    """RAM with its legacy area, which firmware knows best, and what nobody must use."""
    taken = [layout.KVM_PAGES, *(one for one in told.reserved if not one.overlaps(layout.HOLE))]
    entries = sorted([*((one, RAM) for one in _joined(told.ram)), *((one, RESERVED) for one in taken)])
    return b"".join(struct.pack("<QQI", span.start, span.size, kind) for span, kind in entries)


def _joined(ram: Iterable[Span]) -> list[Span]:
    """Of banks that follow each other EDK2 2026.05 takes the first for all memory below 4 GiB."""
    found: list[Span] = []
    for one in sorted(ram):
        before = found.pop() if found and found[-1].end == one.start else None
        found.append(Span(before.start, before.size + one.size) if before else one)
    return found


def _device_path(address: PciAddress) -> str:
    """As Open Firmware writes it; whatever is below it fits, too."""
    function = f",{address.function:x}" if address.function else ""
    return f"/pci@i0cf8/device@{address.device:x}{function}"
