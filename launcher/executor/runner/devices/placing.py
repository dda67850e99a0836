"""Where the guest puts a function's BARs in; memslots, traps and P2P maps out, for functions of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack

from launcher.executor.runner.devices.dma import DmaMaps
from launcher.executor.runner.devices.notes import Say, cause
from launcher.executor.runner.devices.traps import Key, Space, Traps
from launcher.kernel.api import BarMapping, Trap, Vm
from launcher.machine.board import Layout
from launcher.machine.pieces import Piece, served
from launcher.machine.reachable import reachable
from launcher.plan.changes import HideBar, ShowBar
from launcher.plan.outcome import BarReport
from launcher.plan.steps import BarPlace
from launcher.record import field, mutable
from launcher.values import Span


@mutable
class Bar:
    """A BAR, or the ROM, as it is served. `maps` are the host's mappings of its mmap pieces."""

    index: int
    space: Space
    size: int
    file: int  # the descriptor that answers trapped accesses, from `offset` on
    offset: int
    pieces: tuple[Piece, ...]
    maps: Mapping[Span, BarMapping] = field(default_factory=dict)
    planned: BarPlace | None = None  # not the ROM
    guest: int | None = None  # where it is now
    memslots: list[int] = field(default_factory=list)
    peers: list[tuple[DmaMaps, Span]] = field(default_factory=list)  # P2P maps
    trapped: set[Span] = field(default_factory=set)  # mmap pieces that KVM has no memslot for


class Memslots:
    """Numbers `first` to `end` - 1 of a VM's memslots, the last one given back first, else the lowest."""

    def __init__(self, first: int, end: int) -> None:
        self._next, self._end = first, end
        self._back: list[int] = []

    def take(self) -> int | None:
        """None: KVM has none left."""
        if self._back:
            return self._back.pop()
        if self._next >= self._end:
            return None
        self._next += 1
        return self._next - 1

    def give_back(self, memslot: int) -> None:
        self._back.append(memslot)


@mutable
class AddressMap:
    """The guest's addresses and ports, where the BARs of all its functions are shown."""

    vm: Vm
    traps: Traps
    ram: tuple[Span, ...]
    layout: Layout
    memslots: Memslots

    def has_room(self, span: Span, space: Space) -> bool:
        return reachable(span, space, self.ram, self.layout) and self.traps.free(space, span)


class Placing:
    """The BARs and the ROM of the function at `devfn` (slot << 3 | function), by index.

    A BAR is shown in one place, or hidden. `peers` are of the devices that may reach them by DMA.
    """

    def __init__(
        self, devfn: int, found: Mapping[int, Bar], where: AddressMap, note: Say, peers: Sequence[DmaMaps] = ()
    ) -> None:
        self.devfn = devfn
        self._bars, self._map, self._note, self._peers = found, where, note, peers
        self._waiting: dict[int, ShowBar] = {}  # for places that somebody else has

    def show(self, change: ShowBar) -> None:
        """A place that is taken, by RAM or by anybody, is none: the guest reads all ones there."""
        bar = self._bars.get(change.index)
        if bar is None:
            return
        span = Span(change.guest, bar.size)
        if not self._map.has_room(span, bar.space):
            self._waiting[change.index] = change
            return
        self._waiting.pop(change.index, None)
        bar.guest = change.guest
        bar.trapped = {
            piece for piece, mapping in bar.maps.items() if not self._give(bar, bar.guest + piece.start, mapping)
        }
        self._map.traps.show(bar.space, self._key(bar), span, self._traps(bar, bar.guest))

    def hide(self, change: HideBar) -> None:
        self._waiting.pop(change.index, None)
        bar = self._bars.get(change.index)
        if bar is not None:
            self._hide(bar)

    def hide_all(self) -> None:
        """What fails does not keep the rest, and is raised."""
        with ExitStack() as all_of_it:  # last first
            for bar in self._bars.values():
                all_of_it.callback(self._hide, bar)

    def place(self, index: int) -> int | None:
        """Where the guest sees it now."""
        return self._bars[index].guest

    @property
    def waiting(self) -> tuple[ShowBar, ...]:
        """To be tried again: another BAR may have gone from there."""
        return tuple(self._waiting.values())

    def report(self) -> tuple[BarReport, ...]:
        return tuple(_report(bar, bar.planned) for bar in self._bars.values() if bar.planned)

    def against_plan(self) -> tuple[str, ...]:
        """Whatever the reason: VFIO maps less or more than was thought, or KVM has no memslot for it."""
        return tuple(
            f"BAR {one.index} is served by {one.served}, planned {one.planned}"
            for one in self.report()
            if one.served != one.planned
        )

    def _give(self, bar: Bar, guest: int, mapping: BarMapping) -> bool:
        """A memslot for a mapped piece. False: it is trapped instead, which works and is slow."""
        memslot = self._map.memslots.take()
        if memslot is None:
            self._note(f"BAR {bar.index} is trapped: KVM has no memslot left")
            return False
        try:
            self._map.vm.set_memory_region(memslot, guest, mapping, 0, mapping.size)
        except OSError as error:
            self._map.memslots.give_back(memslot)
            self._note(f"BAR {bar.index} is trapped: {cause(error)}")
            return False
        bar.memslots.append(memslot)
        span = Span(guest, mapping.size)
        bar.peers += [(maps, span) for maps in self._peers if maps.map_peer(guest, mapping)]
        return True

    def _hide(self, bar: Bar) -> None:
        """What fails does not keep the rest, and is raised."""
        with ExitStack() as all_of_it:  # last first
            all_of_it.callback(self._map.traps.hide, bar.space, self._key(bar))
            for maps, span in bar.peers:
                all_of_it.callback(maps.unmap, span)
            for memslot in bar.memslots:
                all_of_it.callback(self._take_back, memslot)
            bar.peers, bar.memslots, bar.guest = [], [], None

    def _take_back(self, memslot: int) -> None:
        self._map.vm.delete_memory_region(memslot)
        self._map.memslots.give_back(memslot)

    def _key(self, bar: Bar) -> Key:
        return Key(self.devfn, bar.index)

    def _traps(self, bar: Bar, guest: int) -> tuple[Trap, ...]:
        return tuple(self._trap(bar, guest, piece) for piece in _now(bar) if piece.served != "mmap")

    def _trap(self, bar: Bar, guest: int, piece: Piece) -> Trap:
        start, size = guest + piece.span.start, piece.span.size
        if piece.served == "trap":
            return Trap(start, size, "file", bar.file, bar.offset + piece.span.start)
        return Trap(start, size, piece.served, offset=self.devfn)


def _now(bar: Bar) -> tuple[Piece, ...]:
    """Its pieces, as they are served where it is."""
    return tuple(Piece(one.span, "trap") if one.span in bar.trapped else one for one in bar.pieces)


def _report(bar: Bar, planned: BarPlace) -> BarReport:
    now = served(_now(bar))
    return BarReport(bar.index, bar.size, bar.guest, planned.serve or now, now)
