"""(BARs, what is taken) -> guest addresses, and how each BAR is served. Pure."""

from __future__ import annotations

from launcher.host.facts import Config
from launcher.machine.fitting import first_fit, natural
from launcher.machine.msix import pending_span, table_span, tables_in
from launcher.machine.pieces import PAGE, pieces_of_bar, served
from launcher.plan.plan import PlannedBar
from launcher.record import record
from launcher.typed import TYPE_CHECKING
from launcher.values import GIB, MIB, Missing, Span, align_down, align_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from launcher.host.facts import Bar, PciFunction
    from launcher.machine.board import Layout
    from launcher.machine.pieces import Piece
    from launcher.plan.plan import PlannedDevice
    from launcher.values import PciAddress

# 64-bit BARs from this size on go above RAM; smaller ones are welcome in the hole.
LARGE = 64 * MIB
# Above RAM, and for guests of up to 256 GiB always here: more memory does not move the BARs.
HIGH_WINDOW = 256 * GIB
_NO_LIMIT = 1 << 52


@record
class Request:
    """A BAR that needs a place."""

    host: PciAddress
    bar: Bar

    @property
    def room(self) -> int:
        """Of memory at least a page, so that no two BARs share one."""
        return self.bar.size if self.bar.kind == "io" else align_up(self.bar.size, PAGE)

    @property
    def alignment(self) -> int:
        """Natural: a power of two."""
        return natural(self.room)

    @property
    def low(self) -> bool:
        return self.bar.kind == "mem32" or (self.bar.kind == "mem64" and self.bar.size < LARGE)


# (host address, BAR) -> guest address or port.
BarAddresses = dict[tuple["PciAddress", int], int]


def place_bars(
    functions: Iterable[PciFunction], ram: Sequence[Span], reserved: Sequence[Span], bits: int | None, layout: Layout
) -> BarAddresses:
    """What does not fit is left out. Those that can be nowhere but in the hole come first, then the largest."""
    bars = ((one.address, bar) for one in functions if not isinstance(one.bars, Missing) for bar in one.bars)
    requests = [Request(host, bar) for host, bar in bars if bar.size]
    requests.sort(key=lambda one: (one.bar.kind == "mem64", -one.alignment))
    taken = [*ram, *reserved]
    ports = _fit([one for one in requests if one.bar.kind == "io"], layout.bar_ports, [])
    low = _fit([one for one in requests if one.low], layout.bars_32, taken)
    rest = [one for one in requests if one.bar.kind == "mem64" and (one.host, one.bar.index) not in low]
    high = (_fit(rest, window, taken) for window in _high_windows(ram, bits, layout.high_ram_start))
    return ports | low | max(high, key=len, default={})


def _fit(requests: list[Request], window: Span, taken: Sequence[Span]) -> BarAddresses:
    occupied, places = list(taken), BarAddresses()
    for request in requests:
        guest = first_fit(request.room, window.minus(occupied))
        if guest is not None:
            places[request.host, request.bar.index] = guest
            occupied.append(Span(guest, request.room))
    return places


def _high_windows(ram: Sequence[Span], bits: int | None, lowest: int) -> Iterator[Span]:
    """All BARs above 4 GiB share one window without RAM, in whole GiB: above all RAM, or else a gap in it."""
    limit = 1 << bits if bits else _NO_LIMIT
    ram_end = max((one.end for one in ram), default=0)
    start = align_up(max(ram_end, lowest, min(HIGH_WINDOW, limit // 2)), GIB)
    gaps = Span(lowest, limit - lowest).minus(ram) if limit > lowest else ()
    for first, end in [(start, limit), *((align_up(gap.start, GIB), align_down(gap.end, GIB)) for gap in gaps)]:
        if first < end:
            yield Span(first, end - first)


def spans_of_bars(devices: Iterable[PlannedDevice]) -> tuple[Span, ...]:
    """In memory, of at least a page each."""
    bars = (bar for one in devices for bar in one.bars if bar.guest and bar.kind != "io")
    return tuple(Span(bar.guest or 0, align_up(bar.size, PAGE)) for bar in bars)


def high_window(devices: Iterable[PlannedDevice], layout: Layout) -> Span | None:
    """From the first to the last BAR above 4 GiB, in whole GiB; None when there is none."""
    placed = (Span(bar.guest, bar.size) for one in devices for bar in one.bars if bar.guest)
    high = [one for one in placed if one.start >= layout.high_ram_start]
    if not high:
        return None
    start = align_down(min(one.start for one in high), GIB)
    return Span(start, align_up(max(one.end for one in high), GIB) - start)


def planned_bars(one: PciFunction, places: BarAddresses) -> tuple[PlannedBar, ...]:
    bars = () if isinstance(one.bars, Missing) else one.bars
    return tuple(
        PlannedBar(bar.index, bar.kind, bar.size, places.get((one.address, bar.index)), served(bar_pieces(bar, one)))
        for bar in bars
    )


def bar_pieces(bar: Bar, function: PciFunction) -> tuple[Piece, ...]:
    return pieces_of_bar(bar.kind, bar.size, tables_in(bar.index, message_spans(function)))


def message_spans(function: PciFunction) -> tuple[tuple[int, Span], ...]:
    """(BAR, place in it) of the MSI-X table and of its pending bits; nothing when that was not read."""
    msix = function.config.msix if isinstance(function.config, Config) else None
    if msix is None or not msix.vectors:
        return ()
    table, pending = table_span(msix.table_offset, msix.vectors), pending_span(msix.pending_offset, msix.vectors)
    return ((msix.table_bar, table), (msix.pending_bar, pending))
