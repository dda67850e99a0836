"""A passed PCI function as the guest sees it: its accesses in, values and changes out. Pure.

Configuration space follows a policy for each register (registers.py): nothing invented reaches the device, BARs and
interrupts are the machine's own, capabilities that cannot work in a guest are not in the lists.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from launcher.machine import capabilities as caps
from launcher.machine.capabilities import Capability, word
from launcher.machine.msix import MsixTable
from launcher.machine.registers import Ask, Registers
from launcher.plan.changes import Change, Forward, HideBar, Interrupt, ShowBar, Vector
from launcher.values import Span

# Type 0 header (PCI Local Bus 3.0, 6.1)
COMMAND, STATUS, CACHE_LINE, HEADER_TYPE, BIST, BARS, ROM_BAR = 0x04, 0x06, 0x0C, 0x0E, 0x0F, 0x10, 0x30
INTERRUPT_LINE, INTERRUPT_PIN = 0x3C, 0x3D
IO, MEMORY, MASTER, NO_INTX = 0x01, 0x02, 0x04, 0x400
MULTIFUNCTION, HAS_LIST = 0x80, 0x10
ROM, ROM_ENABLE = 6, 1

VISIBLE = (caps.POWER, caps.VPD, caps.MSI, caps.VENDOR, caps.EXPRESS, caps.MSIX, caps.ADVANCED)
# Extended ones that need the host's bridges or IOMMU, or would move a BAR under us: ARI, ATS, SR-IOV, MR-IOV, PRI,
# Resizable BAR, PASID, VF Resizable BAR (PCI Code and ID Assignment 1.15, 3).
HIDDEN_EXTENDED = (0x0E, 0x0F, 0x10, 0x11, 0x13, 0x15, 0x1B, 0x24)

POWER_STATE, D3HOT = 4, 3  # PMCSR, in the capability
DEVICE_CONTROL, FUNCTION_RESET = 8, 0x8000  # PCI Express
AF_CONTROL, AF_RESET = 4, 1
MSI_CONTROL, MSI_ENABLE, MSI_64, MSI_MASKS = 2, 0x01, 0x80, 0x100
MSIX_CONTROL, MSIX_ENABLE, MSIX_MASK_ALL = 2, 0x8000, 0x4000


@dataclass(frozen=True, slots=True)
class BarShape:
    """A BAR with the place that the plan gave it; `guest` None: it gets one only from the guest."""

    index: int
    kind: Literal["io", "mem32", "mem64"]
    prefetchable: bool
    size: int
    guest: int | None


@dataclass(frozen=True, slots=True)
class Shape:
    """What the function is. `config` as the device has it after a reset; `rom`: bytes of the ROM, 0 for none."""

    config: bytes
    bars: tuple[BarShape, ...]
    rom: int
    multifunction: bool
    intx: bool


class PassedFunction:
    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._bars = {bar.index: bar for bar in shape.bars}
        self._caps = {one.id: one.offset for one in reversed(tuple(caps.capabilities(shape.config)))}
        self._command, self._sleeps = 0, False
        self._shown: dict[int, int] = {}
        offset = self._caps.get(caps.MSIX)
        self.table = MsixTable(0 if offset is None else (word(shape.config, offset + MSIX_CONTROL) & 0x7FF) + 1)
        self._registers = self._policy()
        self._interrupt = self._wanted()

    # -- what the guest does ---------------------------------------------------------------------------------------

    def read(self, offset: int, size: int, ask: Ask) -> bytes:
        if offset + size > self._registers.size:
            return b"\xff" * size
        return self._registers.read(offset, size, ask)

    def write(self, offset: int, data: bytes) -> tuple[Change, ...]:
        """In order: BARs go before the device hears of it, and come back after."""
        if offset + len(data) > self._registers.size:
            return ()
        forwards = self._registers.write(offset, data)
        self._note(offset, data)
        wanted = self._places()
        resets = self._resets(offset, data)
        leaving = [n for n, guest in self._shown.items() if resets or wanted.get(n) != guest]
        hidden = tuple(HideBar(index) for index in leaving)
        stay = {n: guest for n, guest in self._shown.items() if n not in leaving}
        shown = tuple(ShowBar(index, guest) for index, guest in wanted.items() if index not in stay)
        self._shown = wanted
        return (*hidden, *forwards, *shown, *self._rearmed())

    def write_table(self, offset: int, data: bytes) -> tuple[Change, ...]:
        """To the MSI-X table, from its start."""
        self.table.write(offset, data)
        return tuple(self._rearmed())

    def pending(self, offset: int, size: int, bits: int) -> bytes:
        """The pending bit array, from its start; `bits`: which vectors wait."""
        return (bits >> 8 * offset & (1 << 8 * size) - 1).to_bytes(size, "little")

    @property
    def interrupt(self) -> Interrupt:
        return self._interrupt

    def first_command(self) -> Forward:
        """The device listens to nothing until the guest says so."""
        command = word(self._shape.config, COMMAND) & ~(IO | MEMORY | MASTER | NO_INTX)
        return Forward(COMMAND, command.to_bytes(2, "little"))

    # -- where MSI-X is ----------------------------------------------------------------------------------------------

    def msix_spans(self) -> tuple[tuple[int, Span], tuple[int, Span]] | None:
        """(BAR, place in it) of table and of pending bits."""
        offset = self._caps.get(caps.MSIX)
        if offset is None:
            return None
        config = self._shape.config
        table, pending = word(config, offset + 4, 4), word(config, offset + 8, 4)
        count = self.table.vectors
        return (
            (table & 7, Span(table & ~7, 16 * count)),
            (pending & 7, Span(pending & ~7, (count + 63) // 64 * 8)),
        )

    # -- policy ------------------------------------------------------------------------------------------------------

    def _policy(self) -> Registers:
        config, shape = self._shape.config, self._shape
        registers = Registers(len(config))
        registers.own(0, config[:4])
        registers.forward(COMMAND, 2)
        registers.forward(STATUS + 1, 1)
        registers.forward(CACHE_LINE, 2)
        registers.own(HEADER_TYPE, bytes([MULTIFUNCTION if shape.multifunction else 0, 0]))
        registers.own(BARS, bytes(24))
        for bar in shape.bars:
            registers.own(BARS + 4 * bar.index, *_bar_registers(bar))
        registers.own(ROM_BAR, bytes(4), _rom_mask(shape.rom))
        registers.own(ROM_BAR + 4, bytes(8))
        pin = config[INTERRUPT_PIN] if shape.intx and config[INTERRUPT_PIN] <= 4 else 0
        registers.own(INTERRUPT_LINE, bytes([0xFF, pin]), b"\xff\0")
        registers.forward(caps.HEADER, caps.EXTENDED - caps.HEADER)
        self._list(registers)
        if len(config) > caps.EXTENDED:
            registers.forward(caps.EXTENDED, len(config) - caps.EXTENDED)
            _hide_extended(registers, config)
        return registers

    def _list(self, registers: Registers) -> None:
        """The visible ones in the device's own order; the others become bytes that say nothing."""
        config = self._shape.config
        found = tuple(caps.capabilities(config))
        visible = [one for one in found if one.id in VISIBLE]
        for one in found:
            if one.id not in VISIBLE:
                registers.own(one.offset, bytes(_room(one, found)))
        follow = [*(one.offset for one in visible[1:]), 0]
        registers.own(caps.LIST_POINTER, bytes([visible[0].offset if visible else 0]))
        registers.own_bits(STATUS, HAS_LIST if visible else 0, HAS_LIST)
        for one, after in zip(visible, follow, strict=True):
            registers.own(one.offset, bytes([one.id, after]))
            if one.id == caps.MSI:
                _own_msi(registers, config, one.offset)
            elif one.id == caps.MSIX:
                control = config[one.offset + MSIX_CONTROL : one.offset + MSIX_CONTROL + 2]
                first = bytes([control[0], control[1] & 0x07])
                registers.own(one.offset + MSIX_CONTROL, first, b"\0\xc0")
                registers.own(one.offset + 4, config[one.offset + 4 : one.offset + 12])

    # -- state -------------------------------------------------------------------------------------------------------

    def _note(self, offset: int, data: bytes) -> None:
        """What the guest wrote to registers that are the device's and that we must know of."""
        command = bytearray(self._command.to_bytes(2, "little"))
        power = self._caps.get(caps.POWER)
        for place, byte in enumerate(data, offset):
            if place in (COMMAND, COMMAND + 1):
                command[place - COMMAND] = byte
            elif power is not None and place == power + POWER_STATE:
                self._sleeps = byte & 3 == D3HOT
        self._command = int.from_bytes(command, "little")

    def _resets(self, offset: int, data: bytes) -> bool:
        """The write starts a function level reset."""
        express, advanced = self._caps.get(caps.EXPRESS), self._caps.get(caps.ADVANCED)
        written = dict(enumerate(data, offset))
        by_express = express is not None and written.get(express + DEVICE_CONTROL + 1, 0) & FUNCTION_RESET >> 8
        by_advanced = advanced is not None and written.get(advanced + AF_CONTROL, 0) & AF_RESET
        return bool(by_express or by_advanced)

    def _places(self) -> dict[int, int]:
        """BAR (6: ROM) -> guest address, of those that the guest can reach now."""
        if self._sleeps:
            return {}
        found = {}
        for bar in self._shape.bars:
            if self._command & (IO if bar.kind == "io" else MEMORY):
                found[bar.index] = self._address(bar)
        rom = self._registers.value(ROM_BAR, 4)
        if self._shape.rom and self._command & MEMORY and rom & ROM_ENABLE:
            found[ROM] = rom & ~0x7FF
        return found

    def _address(self, bar: BarShape) -> int:
        value = self._registers.value(BARS + 4 * bar.index, 8 if bar.kind == "mem64" else 4)
        return value & ~(3 if bar.kind == "io" else 15)

    # -- interrupts --------------------------------------------------------------------------------------------------

    def _rearmed(self) -> Iterator[Interrupt]:
        wanted = self._wanted()
        if wanted != self._interrupt:
            self._interrupt = wanted
            yield wanted

    def _wanted(self) -> Interrupt:
        """MSI-X before MSI before INTx: a function uses one of them at a time."""
        msix, msi = self._caps.get(caps.MSIX), self._caps.get(caps.MSI)
        if msix is not None and self._registers.value(msix + MSIX_CONTROL, 2) & MSIX_ENABLE:
            return self._msix(self._registers.value(msix + MSIX_CONTROL, 2))
        if msi is not None and self._registers.value(msi + MSI_CONTROL, 2) & MSI_ENABLE:
            return self._msi(msi)
        pin = self._registers.value(INTERRUPT_PIN, 1)
        return Interrupt("intx" if pin else "none")

    def _msix(self, control: int) -> Interrupt:
        used = self.table.used
        if control & MSIX_MASK_ALL:
            return Interrupt("msix", (None,) * used)
        return Interrupt("msix", tuple(self.table.message(vector) for vector in range(used)))

    def _msi(self, offset: int) -> Interrupt:
        registers = self._registers
        control = registers.value(offset + MSI_CONTROL, 2)
        data_at, mask_at = (offset + 12, offset + 16) if control & MSI_64 else (offset + 8, offset + 12)
        address = registers.value(offset + 4, 8 if control & MSI_64 else 4)
        data, masks = registers.value(data_at, 2), registers.value(mask_at, 4) if control & MSI_MASKS else 0
        count = 1 << min(control >> 4 & 7, control >> 1 & 7, 5)
        # A function with several messages owns the low bits of the data (6.8.1.3).
        vectors = (Vector(address, data & ~(count - 1) | n) if not masks >> n & 1 else None for n in range(count))
        return Interrupt("msi", tuple(vectors))


def _bar_registers(bar: BarShape) -> tuple[bytes, bytes]:
    """(value, bits that the guest can write): natural size, rounded up to a power of two."""
    width = 8 if bar.kind == "mem64" else 4
    size = max(1 << (bar.size - 1).bit_length(), 4 if bar.kind == "io" else 16)
    kind = {"io": 1, "mem32": 0, "mem64": 4}[bar.kind] | (8 if bar.prefetchable and bar.kind != "io" else 0)
    value, mask = (bar.guest or 0) | kind, -size & (1 << 8 * width) - 1
    return value.to_bytes(width, "little"), mask.to_bytes(width, "little")


def _rom_mask(size: int) -> bytes:
    """At least 2 KiB; none at all without a ROM."""
    mask = -max(1 << (size - 1).bit_length(), 2048) & 0xFFFFFFFF | ROM_ENABLE if size else 0
    return mask.to_bytes(4, "little")


def _room(one: Capability, found: tuple[Capability, ...]) -> int:
    """Up to whatever begins next."""
    return min((other.offset for other in found if other.offset > one.offset), default=caps.EXTENDED) - one.offset


def _own_msi(registers: Registers, config: bytes, offset: int) -> None:
    """Off, with no message. The guest may ask for as many messages as the function is capable of; see _msi."""
    control = word(config, offset + MSI_CONTROL) & ~(MSI_ENABLE | 0x70)
    size = (14 if control & MSI_64 else 10) - 4
    masks = 10 if control & MSI_MASKS else 0  # two bytes of padding, mask and pending bits
    registers.own(offset + MSI_CONTROL, control.to_bytes(2, "little"), b"\x71\0")
    writable = b"\xfc" + b"\xff" * (size - 1)
    registers.own(offset + 4, bytes(size + masks), writable + (b"\0\0" + b"\xff" * 4 if masks else b""))


def _hide_extended(registers: Registers, config: bytes) -> None:
    """The chain leads past hidden ones. The first cannot be left out: it becomes id 0, which is nobody's."""
    found = tuple(caps.extended(config))
    visible = [one for one in found if one.id not in HIDDEN_EXTENDED]
    follow: Mapping[int, int] = {
        one.offset: after for one, after in zip(visible, [*(one.offset for one in visible[1:]), 0], strict=True)
    }
    for one in found:
        header = word(config, one.offset, 4)
        if one.offset in follow:
            registers.own(one.offset, (header & 0x000FFFFF | follow[one.offset] << 20).to_bytes(4, "little"))
            continue
        others = [other.offset for other in found if other.offset > one.offset]
        registers.own(one.offset, bytes(min(others, default=len(config)) - one.offset))
        if one.offset == caps.EXTENDED and visible:
            registers.own(one.offset, (visible[0].offset << 20).to_bytes(4, "little"))
