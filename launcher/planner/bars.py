"""(BARs, what is taken) -> guest addresses. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from launcher.machine.layout import BARS_32, HIGH_RAM_START
from launcher.plan.plan import PlannedBar
from launcher.values import GIB, KIB, MIB, Missing, Span, align_down, align_up

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.host.facts import Bar, PciFunction
    from launcher.plan.plan import PlannedDevice
    from launcher.values import PciAddress

# 64-bit BARs from this size on go above RAM; smaller ones are welcome in the hole.
LARGE = 64 * MIB
# Above RAM, and for guests of up to 256 GiB always here: more memory does not move the BARs.
HIGH_WINDOW = 256 * GIB
_PAGE = 4 * KIB
_NO_LIMIT = 1 << 52


@dataclass(frozen=True, slots=True)
class Request:
    """A memory BAR that needs a place."""

    host: PciAddress
    bar: Bar

    @property
    def alignment(self) -> int:
        """Natural, and at least a page, so that no two BARs share one."""
        return max(_PAGE, 1 << (self.bar.size - 1).bit_length())

    @property
    def high(self) -> bool:
        return self.bar.kind == "mem64" and self.bar.size >= LARGE


Places = dict[tuple["PciAddress", int], int]


def place_bars(functions: Iterable[PciFunction], ram_end: int, reserved: Iterable[Span], bits: int | None) -> Places:
    """(host address, BAR) -> guest address. What does not fit is left out; the largest are placed first."""
    requests = [Request(one.address, bar) for one in functions for bar in _memory_bars(one)]
    requests.sort(key=lambda one: -one.alignment)
    limit = 1 << bits if bits else _NO_LIMIT
    start = max(ram_end, BARS_32.end, min(HIGH_WINDOW, limit // 2))
    windows = {False: BARS_32, True: Span(start, max(limit - start, 1))}
    taken, places = list(reserved), Places()
    for request in requests:
        guest = _first_fit(request, windows[request.high], taken)
        if guest is not None:
            places[request.host, request.bar.index] = guest
            taken.append(Span(guest, align_up(request.bar.size, _PAGE)))
    return places


def _memory_bars(one: PciFunction) -> list[Bar]:
    return [] if isinstance(one.bars, Missing) else [bar for bar in one.bars if bar.kind != "io"]


def _first_fit(request: Request, window: Span, taken: list[Span]) -> int | None:
    for free in window.minus(taken):
        guest = align_up(free.start, request.alignment)
        if guest + request.bar.size <= free.end:
            return guest
    return None


def high_window(devices: Iterable[PlannedDevice]) -> Span | None:
    """From the first to the last BAR above 4 GiB, in whole GiB; None when there is none."""
    high = [
        Span(bar.guest, bar.size) for one in devices for bar in one.bars if bar.guest and bar.guest >= HIGH_RAM_START
    ]
    if not high:
        return None
    start = align_down(min(one.start for one in high), GIB)
    return Span(start, align_up(max(one.end for one in high), GIB) - start)


def planned_bars(one: PciFunction, places: Places) -> tuple[PlannedBar, ...]:
    bars = () if isinstance(one.bars, Missing) else one.bars
    return tuple(
        PlannedBar(bar.index, bar.kind, bar.size, places.get((one.address, bar.index)), _serve(bar)) for bar in bars
    )


def _serve(bar: Bar) -> Literal["mmap", "trap"]:
    """I/O ports and less than a page cannot be mapped; where MSI-X tables lie is only known once a device is open."""
    return "trap" if bar.kind == "io" or bar.size < _PAGE else "mmap"
