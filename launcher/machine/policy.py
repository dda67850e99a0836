"""What a passed function is in, its configuration space as the guest has it out: which bytes are whose. Pure.

header         ids, BARs, ROM, pin, lists   ours; what the guest writes to a BAR or the interrupt line stays here
               command, cache line, latency the device's, by way of VFIO, which has its own say
               BIST, header type            ours
capabilities   PM, VPD, PCIe, AF, vendor    the device's, but for PME, which nobody in the guest would serve
               PCIe's type and link         ours: there is no port at the other end
               MSI, MSI-X                   ours: the host has its own vectors in the device
               any other                    zero, and not in the list
extended       HIDDEN_EXTENDED              zero, and not in the list
in between                                  the device's: some have registers there
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from launcher.machine import capabilities as caps
from launcher.machine.capabilities import Capability, word
from launcher.machine.registers import Registers
from launcher.plan.steps import BarPlace
from launcher.record import record

# Type 0 header (PCI Local Bus 3.0, 6.1)
COMMAND, STATUS, CACHE_LINE, HEADER_TYPE, BARS, ROM_BAR = 0x04, 0x06, 0x0C, 0x0E, 0x10, 0x30
INTERRUPT_LINE, INTERRUPT_PIN, UNKNOWN_LINE = 0x3C, 0x3D, 0xFF
DECODE_AND_MASTER = 0x07
MULTIFUNCTION, HAS_LIST = 0x80, 0x10
ROM_ENABLE = 1

POWER_SUPPORT, POWER_CONTROL = 3, 5  # the upper bytes of PMC and PMCSR
PME_SUPPORT, PME_BITS = 0xF8, 0x81
MSI_CONTROL, MSI_ENABLE, MSI_64, MSI_MASKS = 2, 0x01, 0x80, 0x100
MSI_CAPABLE = 0x0E  # how many messages
MSIX_CONTROL = 2
# PCI Express 5.0, 7.5.3: type in bits 7:4 of the capabilities register; capabilities, control and status of the link.
EXPRESS_KIND, ENDPOINT, INTEGRATED = 2, 0, 9
LINK, LINK_2 = (0x0C, 8), (0x2C, 8)  # offset and size; the second from version 2 on

# The visible ones, and how many bytes of each must be there; MSI says itself how many it has.
VISIBLE = {
    caps.POWER: 8,
    caps.VPD: 8,
    caps.MSI: 10,
    caps.VENDOR: 3,
    caps.EXPRESS: 12,
    caps.MSIX: 12,
    caps.ADVANCED: 6,
}
# Extended ones that need the host's bridges or IOMMU, or would move a BAR under us (PCI Code and ID Assignment 1.15,
# 3), with their lengths: what is behind them may be registers of the device. 0: up to whatever begins next.
HIDDEN_EXTENDED = {
    0x0E: 8,  # ARI
    caps.TRANSLATIONS: 8,
    0x10: 0x40,  # SR-IOV
    0x11: 0,  # MR-IOV
    0x13: 0x10,  # PRI
    0x15: 4 + 6 * 8,  # Resizable BAR
    0x1B: 8,  # PASID
    0x24: 4 + 6 * 8,  # VF Resizable BAR
}


@record
class Shape:
    """What the function is. `config`: what the device says after a reset; `rom`: bytes of the ROM, 0 for none; `line`:
    what firmware leaves in Interrupt Line, where UNKNOWN_LINE means none. `mediated`: what answers is no hardware but a
    driver, which may take no notice of the command register."""

    config: bytes
    bars: tuple[BarPlace, ...]
    rom: int
    multifunction: bool
    intx: bool
    line: int = UNKNOWN_LINE
    mediated: bool = False


def visible(config: bytes) -> tuple[Capability, ...]:
    """The capabilities that are whole and work in a guest, in the device's order; of each kind but the vendor's the
    first. One in which another begins is not whole."""
    found, shown = tuple(caps.capabilities(config)), dict[object, Capability]()
    for one in found:
        size = msi_size(config, one.offset) if one.id == caps.MSI else VISIBLE.get(one.id, 0)
        if one.id in VISIBLE and size <= _room(one, found, min(len(config), caps.EXTENDED)):
            shown.setdefault(one if one.id == caps.VENDOR else one.id, one)
    return tuple(shown.values())


def msi_size(config: bytes, offset: int) -> int:
    """The MSI capability has 10, 14, 20 or 24 bytes (PCI Local Bus 3.0, 6.8.1)."""
    control = word(config, offset + MSI_CONTROL)
    return (14 if control & MSI_64 else 10) + (10 if control & MSI_MASKS else 0)


def registers_of(shape: Shape) -> Registers:
    config = shape.config
    registers = Registers(len(config))
    registers.own(0, config[:4])
    registers.forward(COMMAND, 2)
    if shape.mediated:
        registers.remember(COMMAND, DECODE_AND_MASTER)
    registers.forward(STATUS + 1, 1)
    registers.forward(CACHE_LINE, 2)
    registers.own(HEADER_TYPE, bytes([MULTIFUNCTION if shape.multifunction else 0, 0]))
    registers.own(BARS, bytes(24))
    for bar in shape.bars:
        registers.own(BARS + 4 * bar.index, *_bar(bar))
    registers.own(ROM_BAR, bytes(4), _rom_mask(shape.rom))
    registers.own(ROM_BAR + 4, bytes(8))
    pin = config[INTERRUPT_PIN] if shape.intx and config[INTERRUPT_PIN] <= 4 else 0
    registers.own(INTERRUPT_LINE, bytes([shape.line if pin else UNKNOWN_LINE, pin]), b"\xff\0")
    registers.forward(caps.HEADER, len(config) - caps.HEADER)
    _list(registers, config)
    _list_extended(registers, config)
    return registers


def _bar(bar: BarPlace) -> tuple[bytes, bytes]:
    """(value, bits that the guest can write): the guest reads the BAR's size, rounded up to a power of two."""
    width = 8 if bar.kind == "mem64" else 4
    size = max(1 << (bar.size - 1).bit_length(), 4 if bar.kind == "io" else 16)
    kind = {"io": 1, "mem32": 0, "mem64": 4}[bar.kind] | (8 if bar.prefetchable and bar.kind != "io" else 0)
    value, mask = (bar.guest or 0) | kind, -size & (1 << 8 * width) - 1
    return value.to_bytes(width, "little"), mask.to_bytes(width, "little")


def _rom_mask(size: int) -> bytes:
    """A ROM has at least 2 KiB; without one the guest can write no bit."""
    mask = -max(1 << (size - 1).bit_length(), 2048) & 0xFFFFFFFF | ROM_ENABLE if size else 0
    return mask.to_bytes(4, "little")


def _list(registers: Registers, config: bytes) -> None:
    """The list leads to the visible capabilities in the device's own order; the others become zeroes."""
    found, shown = tuple(caps.capabilities(config)), visible(config)
    for one in found:
        if one not in shown:
            registers.own(one.offset, bytes(_room(one, found, min(caps.EXTENDED, len(config)))))
    registers.own(caps.LIST_POINTER, bytes([shown[0].offset if shown else 0]))
    registers.own_bits(STATUS, HAS_LIST if shown else 0, HAS_LIST)
    for one, after in _followed(shown):
        registers.own(one.offset, bytes([one.id, after]))
        if one.id == caps.POWER:
            registers.own_bits(one.offset + POWER_SUPPORT, 0, PME_SUPPORT)
            registers.own_bits(one.offset + POWER_CONTROL, 0, PME_BITS)
        elif one.id == caps.EXPRESS:
            _express(registers, config, one, _room(one, found, min(caps.EXTENDED, len(config))))
        elif one.id == caps.MSI:
            _msi(registers, config, one.offset)
        elif one.id == caps.MSIX:
            _msix(registers, config, one.offset)


def _followed(shown: Sequence[Capability]) -> Iterator[tuple[Capability, int]]:
    """Each capability, and the offset of the next; 0 behind the last."""
    return zip(shown, (*(one.offset for one in shown[1:]), 0), strict=False)  # with none there is no last


def _room(one: Capability, found: tuple[Capability, ...], end: int) -> int:
    """How many bytes a capability has before another begins."""
    return min((other.offset for other in found if other.offset > one.offset), default=end) - one.offset


def _express(registers: Registers, config: bytes, one: Capability, room: int) -> None:
    """On bus 0 an endpoint has no port above it: it is a Root Complex Integrated Endpoint (7.5.3.2), which has no link.
    A function of another type stays what it says it is."""
    kind = word(config, one.offset + EXPRESS_KIND)
    if kind >> 4 & 0xF != ENDPOINT:
        return
    registers.own_bits(one.offset + EXPRESS_KIND, INTEGRATED << 4, 0xF0)
    for offset, size in (LINK, LINK_2) if kind & 0xF > 1 else (LINK,):
        registers.own(one.offset + offset, bytes(min(size, max(room - offset, 0))))


def _msi(registers: Registers, config: bytes, offset: int) -> None:
    """MSI is off and has no message. The guest may write the enable bit, how many messages, which, and their masks."""
    control = word(config, offset + MSI_CONTROL) & (MSI_CAPABLE | MSI_64 | MSI_MASKS)
    registers.own(offset + MSI_CONTROL, control.to_bytes(2, "little"), b"\x71\0")
    message = b"\xfc" + b"\xff" * (9 if control & MSI_64 else 5)
    masks = b"\0\0" + b"\xff" * 4 if control & MSI_MASKS else b""  # behind two bytes of padding
    registers.own(offset + 4, bytes(msi_size(config, offset) - 4), message + masks)


def _msix(registers: Registers, config: bytes, offset: int) -> None:
    """MSI-X is off. The guest may write the enable bit and the mask of all vectors; the tables stay where they are."""
    size = word(config, offset + MSIX_CONTROL) & 0x7FF
    registers.own(offset + MSIX_CONTROL, size.to_bytes(2, "little"), b"\0\xc0")
    registers.own(offset + 4, config[offset + 4 : offset + 12])


def _list_extended(registers: Registers, config: bytes) -> None:
    """The chain leads past hidden capabilities. The first cannot be left out: it becomes id 0, which nothing has."""
    found = tuple(caps.extended(config))
    shown = [one for one in found if one.id not in HIDDEN_EXTENDED]
    follow = {one.offset: after for one, after in _followed(shown)}
    for one in found:
        if one.offset in follow:
            header = word(config, one.offset, 4) & 0x000FFFFF | follow[one.offset] << 20
            registers.own(one.offset, header.to_bytes(4, "little"))
            continue
        room = _room(one, found, len(config))
        registers.own(one.offset, bytes(min(HIDDEN_EXTENDED[one.id] or room, room)))
        if one.offset == caps.EXTENDED and shown:
            registers.own(one.offset, (shown[0].offset << 20).to_bytes(4, "little"))
