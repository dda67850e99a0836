"""Configuration space in, Config out (PCI Local Bus 3.0, chapter 6; PCI Express Base 5.0, chapter 7). Pure.

The bytes come from a device, which may be broken, gone or hostile: walks are bounded, pointers masked, and nothing
raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from launcher.host.facts import Config, Msix
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    # (offset, size) -> at most so many bytes. All of it at once would be a thousand accesses to the device.
    Read = Callable[[int, int], bytes]

# PCI Express Capabilities Register, device/port type.
PORTS = {
    0: "endpoint",
    1: "legacy endpoint",
    4: "root port",
    5: "upstream port",
    6: "downstream port",
    7: "PCIe-to-PCI bridge",
    8: "PCI-to-PCIe bridge",
    9: "integrated endpoint",
    10: "event collector",
}

HEADER = 64  # bytes; those who lack CAP_SYS_ADMIN in the first user namespace see no more
CONVENTIONAL = 256  # bytes of configuration space that every function has

_STATUS, _TYPE, _BARS, _CAPABILITIES, _PIN = 0x06, 0x0E, 0x10, 0x34, 0x3D
_HAS_CAPABILITIES = 0x10
_PM, _MSI, _PCIE, _MSIX, _AF = 0x01, 0x05, 0x10, 0x11, 0x13
_SERIAL_NUMBER = 0x0003
_MOST = (CONVENTIONAL - HEADER) // 4  # capabilities that fit, and so the steps of a list that ends
_MOST_EXTENDED = (4096 - CONVENTIONAL) // 8


def decode_config(read: Read, virtual: bool = False, missing_bars: frozenset[int] = frozenset()) -> Config:
    """`virtual`: a virtual function, whose ids are all ones and whose BARs are zeros by the book.

    `missing_bars` are those whose line of `resource` is zeros.
    """
    header = read(0, HEADER).ljust(HEADER, b"\0")
    if _is_dead(header, virtual):
        return Config(dead=True)
    found, extended = dict(_capabilities(header, read)), dict(_extended(read))
    kind = header[_TYPE] & 0x7F
    unassigned = () if virtual else tuple(_unassigned(header, kind, missing_bars))
    return Config(
        header=kind,
        pin=0 if virtual else header[_PIN],
        port=_port(read, found.get(_PCIE)),
        flr=_PCIE in found and bool(_dword(read, found[_PCIE] + 4) >> 28 & 1),
        af_flr=_AF in found and bool(_dword(read, found[_AF]) >> 25 & 1),
        soft_reset=_PM in found and not _dword(read, found[_PM] + 4) & 8,
        msi=1 << min(_dword(read, found[_MSI]) >> 17 & 7, 5) if _MSI in found else 0,
        msix=_msix(read, found.get(_MSIX)),
        extended=tuple(f"{one:04x}" for one in sorted(extended)) if read(CONVENTIONAL, 4) else None,
        serial_number=_serial_number(read, extended.get(_SERIAL_NUMBER)),
        unassigned=unassigned,
        unassigned_ports=tuple(index for index in unassigned if header[_BARS + 4 * index] & 1),
        hot_plug=kind == 1 and _hot_plug(read, found.get(_PCIE)),
    )


def _is_dead(header: bytes, virtual: bool) -> bool:
    """Without power, off the bus, or stuck in a reset."""
    gone = header[4:] if virtual else header[:4]
    return not gone.strip(b"\xff") or header[_TYPE] & 0x7F == 0x7F


def _capabilities(header: bytes, read: Read) -> Iterator[tuple[int, int]]:
    """(id, place), the list backwards: the last of an id wins in a dict, and the first of the list is to win."""
    if not header[_STATUS] & _HAS_CAPABILITIES:
        return
    found: list[tuple[int, int]] = []
    place = header[_CAPABILITIES] & 0xFC
    while place >= HEADER and len(found) < _MOST:
        head = _dword(read, place)
        found.append((head & 0xFF, place))
        place = head >> 8 & 0xFC
    yield from reversed(found)


def _extended(read: Read) -> Iterator[tuple[int, int]]:
    """(id, place) of extended capabilities."""
    place, seen = CONVENTIONAL, set[int]()
    while place >= CONVENTIONAL and place not in seen and len(seen) < _MOST_EXTENDED:
        seen.add(place)
        head = _dword(read, place)
        if head in (0, 0xFFFFFFFF):
            return
        if head & 0xFFFF:
            yield head & 0xFFFF, place
        place = head >> 20 & 0xFFC


def _port(read: Read, place: int | None) -> str | None:
    if place is None:
        return None
    kind = _dword(read, place) >> 20 & 0xF
    return PORTS.get(kind, f"type {kind}")


def _hot_plug(read: Read, place: int | None) -> bool:
    """A port with a slot (PCI Express Capabilities Register, bit 8) that is hot-plug capable."""
    if place is None or not _dword(read, place) >> 24 & 1:
        return False
    return bool(_dword(read, place + 20) >> 6 & 1)


def _msix(read: Read, place: int | None) -> Msix | None:
    if place is None:
        return None
    control, table, pending = (_dword(read, place + offset) for offset in (0, 4, 8))
    return Msix((control >> 16 & 0x7FF) + 1, table & 7, table & ~7, pending & 7, pending & ~7)


def _serial_number(read: Read, place: int | None) -> str | None:
    """As lspci writes it: the highest byte first."""
    if place is None:
        return None
    number = read(place + 4, 8)
    return "-".join(f"{byte:02x}" for byte in reversed(number)) if len(number) == 8 and any(number) else None


def _unassigned(header: bytes, kind: int, missing: frozenset[int]) -> Iterator[int]:
    """BARs that say what they are (I/O, 64-bit, prefetchable) and have no line; a plain 32-bit one is all zeros."""
    index, last = 0, {0: 6, 1: 2}.get(kind, 0)
    while index < last:
        place = _BARS + 4 * index
        bar = int.from_bytes(header[place : place + 4], "little")
        if bar and index in missing:
            yield index
        index += 2 if bar & 7 == 4 else 1


def _dword(read: Read, place: int) -> int:
    return int.from_bytes(read(place, 4), "little")
