"""Configuration spaces as devices have them, by the PCI specs, and a guest in front of one."""

from __future__ import annotations

from collections.abc import Sequence

from launcher.machine.function import PassedFunction
from launcher.machine.policy import Shape
from launcher.plan.changes import Change, Forward
from launcher.plan.steps import BarPlace
from launcher.values import KIB


def power(*, pme: bool = True) -> bytes:
    return bytes([0x01, 0, 0x03, 0xC8 if pme else 0, 0x08, 0, 0, 0])


def vpd() -> bytes:
    return bytes([0x03, 0, 0, 0, 0, 0, 0, 0])


def msi(messages: int = 0, *, wide: bool = True, masks: bool = False) -> bytes:
    """`messages` is a power of two."""
    control = messages << 1 | (0x80 if wide else 0) | (0x100 if masks else 0)
    size = (14 if wide else 10) + (10 if masks else 0)
    return (bytes([0x05, 0]) + control.to_bytes(2, "little")).ljust(size, b"\0")


def msix(vectors: int, table: tuple[int, int], pending: tuple[int, int]) -> bytes:
    """`table` and `pending` are BAR and offset."""
    places = b"".join((offset | bar).to_bytes(4, "little") for bar, offset in (table, pending))
    return bytes([0x11, 0]) + (vectors - 1).to_bytes(2, "little") + places


def express() -> bytes:
    """An endpoint, version 2, that can reset its function."""
    return bytes([0x10, 0, 0x02, 0, 0, 0, 0, 0x10, 0x10, 0x28]).ljust(0x3C, b"\0")


def express_1() -> bytes:
    return bytes([0x10, 0, 0x01, 0, 0, 0, 0, 0x10, 0x10, 0x28]).ljust(0x14, b"\0")


def advanced() -> bytes:
    return bytes([0x13, 0, 6, 0x03, 0, 0])


def vendor(body: bytes) -> bytes:
    return bytes([0x09, 0, 3 + len(body)]) + body


def sata() -> bytes:
    return bytes([0x12, 0, 0x10, 0, 0x48, 0, 0, 0])


def config(
    ids: tuple[int, int],
    found: Sequence[tuple[int, bytes]],
    extended: Sequence[tuple[int, int, bytes]] = (),
    *,
    pin: int = 1,
    size: int = 256,
) -> bytes:
    """`found` are capabilities at their offsets, in the order of the list; `extended` also have their ids."""
    image = bytearray(size)
    image[0:4] = ids[0].to_bytes(2, "little") + ids[1].to_bytes(2, "little")
    image[0x04:0x08] = bytes([0x00, 0x01, 0x10 if found else 0, 0x00])  # SERR# on
    image[0x08:0x0C] = bytes([0x02, 0x02, 0x08, 0x01])
    image[0x0E] = 0x80
    image[0x28:0x30] = bytes(range(8))  # CardBus pointer, subsystem
    image[0x3C:0x40] = bytes([11, pin, 1, 2])
    image[0x34] = found[0][0] if found else 0
    for (offset, body), after in zip(found, [*(offset for offset, _ in found[1:]), 0], strict=False):
        image[offset : offset + len(body)] = body
        image[offset + 1] = after
    for (offset, kind, body), after in zip(extended, [*(one[0] for one in extended[1:]), 0], strict=False):
        image[offset : offset + 4] = (kind | 1 << 16 | after << 20).to_bytes(4, "little")
        image[offset + 4 : offset + 4 + len(body)] = body
    return bytes(image)


AER, SERIAL, ARI, ATS, SRIOV, PRI, REBAR, LTR, PASID = 0x01, 0x03, 0x0E, 0x0F, 0x10, 0x13, 0x15, 0x18, 0x1B

NVME = Shape(
    config(
        (0x144D, 0xA808),
        [(0x40, power()), (0x50, msi(5)), (0x70, express()), (0xB0, msix(33, (0, 0x3000), (0, 0x2000)))],
        [(0x100, AER, bytes(0x40)), (0x148, SERIAL, b"\x11" * 8), (0x188, LTR, bytes(4))],
        size=4096,
    ),
    bars=(BarPlace(0, "mem64", prefetchable=False, size=16 * KIB, guest=0xC000_0000, serve="split"),),
    rom=0,
    multifunction=False,
    intx=True,
)
E1000E = Shape(
    config(
        (0x8086, 0x10D3),
        [(0xC8, power()), (0xD0, msi()), (0xE0, express_1()), (0xA0, msix(5, (3, 0), (3, 0x2000)))],
        [(0x100, AER, bytes(0x24)), (0x140, SERIAL, b"\x22" * 8)],
        size=4096,
    ),
    bars=(
        BarPlace(0, "mem32", prefetchable=False, size=128 * KIB, guest=0xC010_0000, serve="mmap"),
        BarPlace(1, "mem32", prefetchable=False, size=128 * KIB, guest=0xC012_0000, serve="mmap"),
        BarPlace(2, "io", prefetchable=False, size=32, guest=0xC000, serve="trap"),
        BarPlace(3, "mem32", prefetchable=False, size=16 * KIB, guest=0xC014_0000, serve="split"),
    ),
    rom=256 * KIB,
    multifunction=False,
    intx=True,
)
RTL8139 = Shape(
    config((0x10EC, 0x8139), [(0x50, power()), (0x60, vpd())]),
    bars=(
        BarPlace(0, "io", prefetchable=False, size=256, guest=0xC100, serve="trap"),
        BarPlace(1, "mem32", prefetchable=False, size=256, guest=0xC020_0000, serve="trap"),
    ),
    rom=0,
    multifunction=True,
    intx=True,
)
# Its vendor's capability and one that no guest gets stand between the others; the list runs up and down.
AHCI = Shape(
    config(
        (0x8086, 0x2922),
        [
            (0x80, msi(4, wide=False, masks=True)),
            (0x70, power()),
            (0x48, vendor(b"\xde\xad\xbe\xef\x01")),
            (0xA8, sata()),
            (0xB0, advanced()),
        ],
        pin=2,
    ),
    bars=(BarPlace(5, "mem32", prefetchable=True, size=2 * KIB, guest=0xC030_0000, serve="trap"),),
    rom=0,
    multifunction=False,
    intx=True,
)
VIRTUAL = Shape(
    config(
        (0x8086, 0x154C),
        [(0x70, msix(5, (3, 0), (3, 0x2000))), (0xA0, express())],
        [
            (0x100, ARI, b"\0\x01\0\0"),
            (0x120, ATS, b"\0\0\0\x80"),
            (0x140, AER, bytes(0x40)),
            (0x1A0, PRI, bytes(12)),
            (0x1C0, PASID, b"\x06\x14\0\0"),
            (0x1D0, SERIAL, b"\x33" * 8),
        ],
        pin=0,
        size=4096,
    ),
    bars=(
        BarPlace(0, "mem64", prefetchable=True, size=64 * KIB, guest=0x40_0000_0000, serve="mmap"),
        BarPlace(3, "mem64", prefetchable=True, size=16 * KIB, guest=0x40_0001_0000, serve="split"),
    ),
    rom=0,
    multifunction=False,
    intx=False,
)
ALL = {"nvme": NVME, "e1000e": E1000E, "rtl8139": RTL8139, "ahci": AHCI, "virtual function": VIRTUAL}


class Guest:
    """Accesses a function as a guest does; what is forwarded changes the device."""

    def __init__(self, shape: Shape) -> None:
        self.function = PassedFunction(shape)
        self.device = bytearray(shape.config)
        self.asked: list[int] = []  # offsets that the device was asked about

    def ask(self, offset: int, size: int) -> bytes:
        self.asked += range(offset, offset + size)
        return bytes(self.device[offset : offset + size])

    def read(self, offset: int, size: int = 4) -> int:
        data = self.function.read(offset, size, self.ask)
        assert len(data) == size
        return int.from_bytes(data, "little")

    def write(self, offset: int, value: int, size: int = 4) -> tuple[Change, ...]:
        changes = self.function.write(offset, value.to_bytes(size, "little"))
        for change in changes:
            if isinstance(change, Forward):
                self.device[change.offset : change.offset + len(change.data)] = change.data
        return changes

    def write_entry(self, vector: int, place: int, value: int) -> tuple[Change, ...]:
        """A dword of the MSI-X table: 0 and 4 are the address, 8 the data, 12 the mask."""
        return self.function.write_table(16 * vector + place, value.to_bytes(4, "little"))

    def capabilities(self) -> list[tuple[int, int]]:
        """(id, offset), walked as Linux does it."""
        found, offset = [], self.read(0x34, 1) if self.read(0x06, 2) & 0x10 else 0
        while offset and len(found) < 48:
            found.append((self.read(offset, 1), offset))
            offset = self.read(offset + 1, 1)
        return found

    def extended(self) -> list[tuple[int, int]]:
        found, offset = [], 0x100
        while offset and len(found) < 480:
            header = self.read(offset)
            if header in (0, 0xFFFFFFFF):
                break
            if header & 0xFFFF:
                found.append((header & 0xFFFF, offset))
            offset = header >> 20
        return found
