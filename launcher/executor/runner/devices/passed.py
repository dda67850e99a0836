"""One passed function: what its model says of the guest's accesses, done with VFIO and KVM.

Whatever the guest asks for, nothing here raises into a vCPU: what the kernel refuses is noted once and done without.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Any

from launcher.executor.runner.devices.interrupts import Interrupts
from launcher.executor.runner.devices.traps import Space, Traps
from launcher.executor.runner.dma import DmaSpace
from launcher.kernel.api import BarMapping, Device, Eventfd, Trap, Vm
from launcher.machine import bars
from launcher.machine.board import Layout
from launcher.machine.function import PassedFunction
from launcher.machine.pieces import Piece, served
from launcher.plan.changes import Change, Forward, HideBar, Interrupt, ShowBar
from launcher.plan.outcome import BarReport, DeviceReport
from launcher.plan.steps import BarPlace, Passed
from launcher.record import field, mutable
from launcher.values import Span

MOST_NOTES = 20


@mutable
class Bar:
    """A BAR, or the ROM, as it is served. `maps` are the host's mappings of its mmap pieces."""

    index: int
    space: Space
    size: int
    file: int  # the descriptor that answers trapped accesses, from `offset` on
    offset: int
    pieces: tuple[Piece, ...]
    maps: dict[Span, BarMapping] = field(default_factory=dict)
    planned: BarPlace | None = None  # not the ROM
    guest: int | None = None  # where it is now
    slots: list[int] = field(default_factory=list)
    peers: list[tuple[DmaSpace, Span]] = field(default_factory=list)  # P2P maps
    trapped: set[Span] = field(default_factory=set)  # mmap pieces that KVM has no memslot for


@mutable
class Place:
    """What the functions of a VM share."""

    vm: Vm
    traps: Traps
    containers: list[DmaSpace]
    ram: tuple[Span, ...]
    layout: Layout
    slots: list[int]  # free memslots, the next one last
    functions: int  # how many there are: one alone has no peer


class PassedDevice:
    """`found` are its BARs and its ROM by index, as they are served; `alarms` eventfds by irq name: request, error."""

    def __init__(
        self, step: Passed, device: Device, function: PassedFunction, found: dict[int, Bar], place: Place
    ) -> None:
        self.step, self.device, self.function = step, device, function
        self.slot = step.guest.device * 8 + step.guest.function
        self.alarms: dict[str, Eventfd] = {}
        self._notes: dict[str, str] = {}
        self._bars, self._place = found, place
        self._interrupts: Interrupts | None = None
        self._waiting: dict[int, ShowBar] = {}  # for places that somebody else has
        self._messages = ("none", 0)  # msi or msix with its vectors, when it last had them

    # -- for the bus ---------------------------------------------------------------------------------------------------

    def read_config(self, offset: int, size: int) -> bytes:
        return self.function.read(offset, size, self._ask)

    def write_config(self, offset: int, data: bytes) -> None:
        self._apply(self.function.write(offset, data))

    def try_waiting(self) -> None:
        """A BAR for which there was no place: another may have gone from there."""
        self._apply(tuple(self._waiting.values()))

    def read_table(self, piece: str, offset: int, size: int) -> bytes:
        """`piece` is table or pending."""
        if piece == "table":
            return self.function.table.read(offset, size)
        waiting = self._interrupts.pending() if self._interrupts else 0
        return self.function.pending(offset, size, waiting)

    def write_table(self, piece: str, offset: int, data: bytes) -> None:
        """The pending bits cannot be written."""
        if piece == "table":
            self._apply(self.function.write_table(offset, data))

    # -- life ----------------------------------------------------------------------------------------------------------

    def begin(self, interrupts: Interrupts) -> None:
        """The device listens to nothing but its interrupt line yet."""
        self._interrupts = interrupts
        self._forward(self.function.first_command())
        try:
            interrupts.become(self.function.interrupt)
        except OSError as error:
            if not any(self.device.irq(kind).vectors for kind in ("msi", "msix")):
                raise
            self.note(f"no INTx: {_cause(error)}")  # messages do as well

    def quiet(self) -> None:
        """Interrupts off, then its BARs out of the guest's sight. What fails does not keep the rest, and is raised."""
        interrupts, self._interrupts = self._interrupts, None
        with ExitStack() as all_of_it:  # last first
            for bar in self._bars.values():
                all_of_it.callback(self._hide, bar)
            if interrupts:
                all_of_it.callback(interrupts.stop)

    def report(self) -> DeviceReport:
        kind, vectors = self._uses()
        bars = tuple(_bar_report(bar, bar.planned) for bar in self._bars.values() if bar.planned)
        against = [f"BAR {one.index} is served by {one.served}, planned {one.planned}" for one in bars if _differs(one)]
        return DeviceReport(
            alias=self.step.alias,
            host=str(self.step.address),
            group=self.step.group,
            guest=self.step.guest.guest,
            interrupts=kind,
            vectors=vectors,
            bars=bars,
            state="; ".join((*against, *self._notes.values())) or "works",
        )

    def note(self, text: str) -> None:
        """Each only once: a guest may try for ever."""
        self.note_about(text, text)

    def note_about(self, what: str, text: str) -> None:
        """In place of what was said of it before."""
        if what in self._notes or len(self._notes) < MOST_NOTES:
            self._notes[what] = text

    # -- changes -------------------------------------------------------------------------------------------------------

    def _apply(self, changes: tuple[Change, ...]) -> None:
        deaf = False  # the device did not take a write: a BAR shown now might not answer
        for change in changes:
            if deaf and isinstance(change, ShowBar):
                continue
            try:
                _DO[type(change)](self, change)
            except OSError as error:
                deaf |= isinstance(change, Forward)
                self.note(_cause(error))

    def _ask(self, offset: int, size: int) -> bytes:
        with suppress(OSError):
            return self.device.read_config(offset, size)
        self.note("its configuration space could not be read")
        return b""

    def _forward(self, change: Forward) -> None:
        self.device.write_config(change.offset, change.data)

    def _interrupt(self, change: Interrupt) -> None:
        if self._interrupts:
            self._interrupts.become(change)
            if self._interrupts.kind in ("msi", "msix"):
                self._messages = (self._interrupts.kind, self._interrupts.vectors)

    def _uses(self) -> tuple[str, int]:
        """A driver that has let go of the device leaves it at INTx, which says nothing."""
        kind, vectors = (self._interrupts.kind, self._interrupts.vectors) if self._interrupts else ("none", 0)
        return self._messages if kind == "intx" and self._messages[1] else (kind, vectors)

    def _hide_bar(self, change: HideBar) -> None:
        self._waiting.pop(change.index, None)
        bar = self._bars.get(change.index)
        if bar is not None:
            self._hide(bar)

    def _show_bar(self, change: ShowBar) -> None:
        """A place that is taken, by RAM or by anybody, is none: the guest reads all ones there."""
        bar = self._bars.get(change.index)
        if bar is None:
            return
        span = Span(change.guest, bar.size)
        if not bars.reachable(span, bar.space, self._place.ram, self._place.layout) or not self._place.traps.free(
            bar.space, span
        ):
            self._waiting[change.index] = change
            return
        self._waiting.pop(change.index, None)
        bar.guest = change.guest
        bar.trapped = {
            piece for piece, mapping in bar.maps.items() if not self._give(bar, bar.guest + piece.start, mapping)
        }
        self._place.traps.show(bar.space, (self, bar.index), span, self._traps(bar))

    def _give(self, bar: Bar, guest: int, mapping: BarMapping) -> bool:
        """False: it is trapped instead, which works and is slow."""
        slots = self._place.slots
        if not slots:
            self.note(f"BAR {bar.index} is trapped: KVM has no memslot left")
            return False
        try:
            self._place.vm.set_memory_region(slots[-1], guest, mapping, 0, mapping.size)
        except OSError as error:
            self.note(f"BAR {bar.index} is trapped: {_cause(error)}")
            return False
        bar.slots.append(slots.pop())
        span = Span(guest, mapping.size)
        if self._place.functions > 1:
            bar.peers += [(space, span) for space in self._place.containers if space.map_peer(guest, mapping)]
        return True

    def _hide(self, bar: Bar) -> None:
        """What fails does not keep the rest, and is raised."""
        with ExitStack() as all_of_it:  # last first
            all_of_it.callback(self._place.traps.hide, bar.space, (self, bar.index))
            for space, span in bar.peers:
                all_of_it.callback(space.unmap, span)
            for slot in bar.slots:
                all_of_it.callback(self._take_back, slot)
            bar.peers, bar.slots, bar.guest = [], [], None

    def _take_back(self, slot: int) -> None:
        self._place.vm.delete_memory_region(slot)
        self._place.slots.append(slot)

    def _traps(self, bar: Bar) -> tuple[Trap, ...]:
        assert bar.guest is not None
        return tuple(_trap(bar, bar.guest, piece) for piece in _now(bar) if piece.served != "mmap")


def _now(bar: Bar) -> tuple[Piece, ...]:
    """Its pieces, as they are served where it is."""
    return tuple(Piece(one.span, "trap") if one.span in bar.trapped else one for one in bar.pieces)


def _trap(bar: Bar, guest: int, piece: Piece) -> Trap:
    start, size = guest + piece.span.start, piece.span.size
    if piece.served == "trap":
        return Trap(start, size, "file", bar.file, bar.offset + piece.span.start)
    return Trap(start, size, piece.served)


def _bar_report(bar: Bar, planned: BarPlace) -> BarReport:
    now = served(_now(bar))
    return BarReport(bar.index, bar.size, bar.guest, planned.serve or now, now)


def _differs(one: BarReport) -> bool:
    """From the plan, whatever the reason: VFIO maps less or more than was thought, or KVM has no memslot for it."""
    return one.served != one.planned


def _cause(error: OSError) -> str:
    return f"{error.strerror} ({error.filename or 'the device'})"


_DO: dict[type[Any], Callable[[PassedDevice, Any], None]] = {
    HideBar: PassedDevice._hide_bar,
    ShowBar: PassedDevice._show_bar,
    Forward: PassedDevice._forward,
    Interrupt: PassedDevice._interrupt,
}
