"""What a host has, for the fake kernel: PCI functions with their drivers, regions and interrupts, and an IOMMU."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from launcher.codec import decode, encode
from launcher.kernel.api import IrqInfo, MdevKind, RegionInfo
from launcher.values import KIB, MIB, HostDevice, Mdev, PciAddress, Span, VfSettings

VFIO = "vfio-pci"
HARMLESS = (None, VFIO, "pci-stub", "pcieport")  # drivers that leave a group viable
CONFIG_REGION, SHIFT = 7, 40  # a region's offset in the descriptor is its index << 40
MEMORY_ENABLE = 2


def region(index: int, size: int, *, mappable: bool = True, sparse: tuple[Span, ...] | None = None) -> RegionInfo:
    return RegionInfo(size, index << SHIFT, mappable=mappable and size >= 4 * KIB, sparse=sparse)


@dataclass(eq=False)
class FakeFunction:
    """`native` is the driver that takes it without an override; `refusing` are drivers whose probe binds nothing."""

    address: HostDevice
    group: int
    config: bytearray
    regions: dict[int, RegionInfo]
    irqs: dict[str, IrqInfo]
    native: str | None = None
    driver: str | None = VFIO
    override: str | None = None
    refusing: tuple[str, ...] = ()
    holds_on: bool = False  # its driver never lets go of it
    held: int = -1  # a descriptor: its driver lets go when that hangs up
    resets: bool = True  # by itself
    together: tuple[PciAddress, ...] = ()  # what a reset of its bus resets; empty: there is no such reset
    ports: tuple[int, ...] = ()  # regions that are I/O ports
    by_hand: bool = False  # INTx is unmasked by no eventfd
    node_of_another: bool = False  # what has the name of its node in /dev is another device's
    kind: MdevKind | None = None  # what a mediated one is made of
    there: bool = True  # it has been made
    lost: bool = False  # its configuration space does not answer
    wanted: bool = False  # the host waits for it to be closed, and has it then
    close_error: int = 0  # that its last close says, and is one all the same
    reset_count: int = 0
    physical: PciAddress | None = None  # of a virtual function
    number: int = 0  # and which one it is
    told: VfSettings = field(default_factory=VfSettings)  # what its physical function gives it
    answered: bool = True  # an interface of that says so

    @property
    def resets_when_opened(self) -> bool:
        """By vfio-pci. The driver of a mediated device waits to be told."""
        return self.resets and isinstance(self.address, PciAddress)

    @property
    def decodes(self) -> bool:
        return bool(self.config[4] & MEMORY_ENABLE)


@dataclass
class FakeHost:
    """`reserved` and `width` are the IOMMU's; groups in `apart` share a container with no other."""

    functions: Sequence[FakeFunction] = ()
    reserved: tuple[Span, ...] = (Span(0xFEE00000, MIB),)
    width: int = 39
    apart: tuple[int, ...] = ()
    most_maps: int = 65535
    lockable: int = 1 << 40
    vectors: int = 2048  # that it has left for one function
    dma_bufs: bool = False  # there are some of BARs, and iommufd takes them
    safe: bool = True  # interrupts are remapped
    may_exceed: bool = True  # the process has CAP_SYS_RESOURCE
    open_groups: set[int] = field(default_factory=set)
    paper: Path | None = None  # where processes that share this host keep who drives what, and what is told

    def recall(self) -> None:
        if self.paper and self.paper.exists():
            for one, (*kept, told) in zip(self.functions, json.loads(self.paper.read_text()), strict=True):
                one.driver, one.override, one.there = kept
                one.told = decode(VfSettings, told)

    def keep(self) -> None:
        if self.paper:
            kept = [(one.driver, one.override, one.there, encode(one.told)) for one in self.functions]
            self.paper.write_text(json.dumps(kept))

    def drivers(self) -> list[tuple[str | None, str | None]]:
        return [(one.driver, one.override) for one in self.functions]

    def physical(self) -> list[PciAddress]:
        """Functions that have virtual ones."""
        return list(dict.fromkeys(one.physical for one in self.functions if one.physical is not None))

    def told(self) -> list[VfSettings]:
        return [one.told for one in self.functions]

    def of_group(self, number: int) -> list[FakeFunction]:
        return [one for one in self.functions if one.group == number and one.there]

    def at(self, address: HostDevice) -> FakeFunction | None:
        return next((one for one in self.functions if one.address == address and one.there), None)

    def viable(self, number: int) -> bool:
        return all(one.driver in HARMLESS for one in self.of_group(number))

    @property
    def free(self) -> tuple[Span, ...]:
        return Span(0, 1 << self.width).minus(self.reserved)


def nvme(address: str, group: int, **more: object) -> FakeFunction:
    """MSI-X with 4 vectors in the middle of BAR 0, which has 64 bits; INTx too."""
    caps = {0x40: struct.pack("<BBHII", 0x11, 0, 3, 0x2000, 0x3000)}
    irqs = {"intx": IrqInfo(1, True), "msix": IrqInfo(4, False), "error": IrqInfo(1, True), "request": IrqInfo(1, True)}
    return _function(address, group, _config(0x1B36, 0x0010, caps), {0: region(0, 16 * KIB)}, irqs, more)


def old_card(address: str, group: int, **more: object) -> FakeFunction:
    """INTx only; I/O ports, a BAR smaller than a page, and a ROM."""
    regions = {0: region(0, 256, mappable=False), 1: region(1, 256), 6: region(6, 64 * KIB, mappable=False)}
    more = {"ports": (0,), "resets": False} | more
    return _function(address, group, _config(0x10EC, 0x8139, {}), regions, {"intx": IrqInfo(1, True)}, more)


def dual_card(address: str, group: int, **more: object) -> FakeFunction:
    """MSI with 4 messages of 64 bits, no INTx, and a BAR that can only be mapped in parts."""
    sparse = (Span(0, 4 * KIB), Span(8 * KIB, 8 * KIB))
    config = _config(0x8086, 0x1521, {0x50: struct.pack("<BBHIIHH", 0x05, 0, 0x84, 0, 0, 0, 0)}, pin=0)
    return _function(address, group, config, {2: region(2, 16 * KIB, sparse=sparse)}, {"msi": IrqInfo(4, False)}, more)


def everything(address: str, group: int, **more: object) -> FakeFunction:
    """MSI-X and MSI, power states, both kinds of function level reset; memory of 64 and 32 bits, ports, a ROM."""
    caps = {
        0x40: struct.pack("<BBHHH", 0x01, 0, 3, 0, 0),
        0x50: struct.pack("<BBHIIHHII", 0x05, 0, 0x18A, 0, 0, 0, 0, 0, 0),
        0x70: struct.pack("<BBHII", 0x11, 0, 15, 0x1000 | 3, 0x2000 | 3),
        0x80: struct.pack("<BBHIHH", 0x10, 0, 2, 1 << 28, 0, 0),
        0xC0: struct.pack("<BBBBBB", 0x13, 0, 6, 3, 0, 0),
    }
    regions = {0: region(0, 64 * KIB), 2: region(2, 64, mappable=False), 3: region(3, 16 * KIB), 6: region(6, 64 * KIB)}
    irqs = {"intx": IrqInfo(1, True), "msi": IrqInfo(32, False), "msix": IrqInfo(16, True)}
    return _function(address, group, _config(0x1234, 0x5678, caps), regions, irqs, {"ports": (2,)} | more)


def serial_card(uuid: str, group: int, **more: object) -> FakeFunction:
    """A mediated one, as mtty: 255 bytes of configuration space, two BARs of 8 ports, INTx that it cannot unmask, MSI
    without a capability, no reset."""
    config = bytearray(_config(0x4348, 0x3253, {})[:255])
    config[0x10] = config[0x14] = 1
    regions = {0: region(0, 8), 1: region(1, 8)}
    irqs = {"intx": IrqInfo(1, True), "msi": IrqInfo(1, False)}
    more = {"ports": (0, 1), "resets": False, "by_hand": True} | more
    return FakeFunction(Mdev.parse(uuid), group, config, regions, irqs, **more)


def frame_buffer(uuid: str, group: int, **more: object) -> FakeFunction:
    """A mediated one, as mdpy: a BAR that is mapped, and no interrupt."""
    config = bytearray(_config(0x1B36, 0x000F, {}, pin=0)[:255])
    config[0x10] = 8
    more = {"regions": {0: region(0, 2 * MIB)}} | more
    return FakeFunction(Mdev.parse(uuid), group, config, irqs={}, **more)


def _function(address: str, group: int, config: bytes, regions: dict, irqs: dict, more: dict) -> FakeFunction:
    return FakeFunction(PciAddress.parse(address), group, bytearray(config), regions, irqs, **more)


def _config(vendor: int, device: int, caps: dict[int, bytes], pin: int = 1) -> bytes:
    """256 bytes; the capabilities by their offsets are linked in this order."""
    image = bytearray(256)
    struct.pack_into("<HHHH", image, 0, vendor, device, 0, 0x10 if caps else 0)
    image[0x3D] = pin
    link = 0x34
    for offset, body in caps.items():
        image[offset : offset + len(body)] = body
        image[link] = offset
        link = offset + 1
    return bytes(image)
