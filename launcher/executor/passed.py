"""One passed function: what its model says of the guest's accesses, done with VFIO and KVM.

Whatever the guest asks for, nothing here raises into a vCPU: what the kernel refuses is noted once and done without.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

from launcher.executor.interrupts import Interrupts
from launcher.executor.traps import Space, Traps
from launcher.kernel.api import BarMapping, Container, Device, Eventfd, Trap, Vm
from launcher.machine import bars
from launcher.machine.function import PassedFunction
from launcher.machine.pieces import Piece, served
from launcher.plan.changes import Change, Forward, HideBar, Interrupt, ShowBar
from launcher.plan.outcome import BarReport, DeviceReport
from launcher.plan.steps import BarPlace, Passed
from launcher.values import Span


@dataclass(slots=True)
class Bar:
    """A BAR, or the ROM, as it is served. `maps` are the host's mappings of its mmap pieces."""

    index: int
    space: Space
    size: int
    file: int  # the descriptor that answers trapped accesses, from `offset` on
    offset: int
    pieces: tuple[Piece, ...]
    maps: dict[Span, BarMapping] = field(default_factory=dict)
    planned: BarPlace | None = None
    guest: int | None = None  # where it is now
    slots: list[int] = field(default_factory=list)
    peers: list[tuple[Container, Span]] = field(default_factory=list)  # P2P maps


@dataclass(slots=True)
class Place:
    """What the functions of a VM share."""

    vm: Vm
    traps: Traps
    containers: list[Container]
    ram: tuple[Span, ...]
    slots: list[int]  # free memslots, the next one last


class PassedDevice:
    """`regions` by BAR index; `alarms` are eventfds by irq name: request, error."""

    def __init__(
        self, step: Passed, device: Device, function: PassedFunction, found: dict[int, Bar], place: Place
    ) -> None:
        self.step, self.device, self.function = step, device, function
        self.slot = step.guest.device * 8 + step.guest.function
        self.alarms: dict[str, Eventfd] = {}
        self.notes: list[str] = []
        self.peer_maps = 0
        self._bars, self._place = found, place
        self._interrupts: Interrupts | None = None

    # -- for the bus ---------------------------------------------------------------------------------------------------

    def read_config(self, offset: int, size: int) -> bytes:
        return self.function.read(offset, size, self._ask)

    def write_config(self, offset: int, data: bytes) -> None:
        self._apply(self.function.write(offset, data))

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
        self._interrupt(self.function.interrupt)

    def quiet(self) -> None:
        """Interrupts off, out of the guest's sight, no more DMA. The first call that fails is raised, after all."""
        failed: list[OSError] = []
        for bar in self._bars.values():
            _try(partial(self._hide, bar), failed)
        if self._interrupts:
            _try(self._interrupts.stop, failed)
            self._interrupts = None
        if failed:
            raise failed[0]

    def report(self) -> DeviceReport:
        interrupts = self._interrupts
        return DeviceReport(
            alias=self.step.alias,
            host=str(self.step.address),
            group=self.step.group,
            guest=self.step.guest.guest,
            interrupts=interrupts.kind if interrupts else "none",
            vectors=interrupts.vectors if interrupts else 0,
            bars=tuple(_bar_report(bar) for bar in self._bars.values() if bar.planned),
            state="; ".join(self.notes) or "works",
        )

    def note(self, text: str) -> None:
        """Each only once: a guest may try for ever."""
        if text not in self.notes and len(self.notes) < 20:
            self.notes.append(text)

    # -- changes -------------------------------------------------------------------------------------------------------

    def _apply(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            try:
                _DO[type(change)](self, change)
            except OSError as error:
                self.note(f"{error.filename or 'the device'}: {error.strerror}")

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

    def _hide_bar(self, change: HideBar) -> None:
        self._hide(self._bars[change.index])

    def _show_bar(self, change: ShowBar) -> None:
        """A place that is taken, by RAM or by anybody, is none: the guest reads all ones there."""
        bar = self._bars.get(change.index)
        if bar is None:
            return
        span = Span(change.guest, bar.size)
        if not bars.reachable(span, bar.space, self._place.ram) or not self._place.traps.free(bar.space, span):
            return
        bar.guest = change.guest
        self._place.traps.show(bar.space, (self, bar.index), self._traps(bar))
        for piece, mapping in bar.maps.items():
            self._give(bar, piece, mapping)

    def _give(self, bar: Bar, piece: Span, mapping: BarMapping) -> None:
        assert bar.guest is not None
        guest, slot = bar.guest + piece.start, self._place.slots.pop()
        try:
            self._place.vm.set_memory_region(slot, guest, mapping, 0, piece.size)
        except OSError:
            self._place.slots.append(slot)
            raise
        bar.slots.append(slot)
        for container in self._place.containers:  # so that other devices reach it; best effort
            with suppress(OSError):
                container.map_dma(guest, mapping, 0, piece.size)
                bar.peers.append((container, Span(guest, piece.size)))
                self.peer_maps += 1

    def _hide(self, bar: Bar) -> None:
        self._place.traps.hide(bar.space, (self, bar.index))
        while bar.peers:
            container, span = bar.peers.pop()
            container.unmap_dma(span.start, span.size)
        while bar.slots:
            slot = bar.slots.pop()
            self._place.vm.delete_memory_region(slot)
            self._place.slots.append(slot)
        bar.guest = None

    def _traps(self, bar: Bar) -> tuple[Trap, ...]:
        assert bar.guest is not None
        return tuple(_trap(bar, bar.guest, piece) for piece in bar.pieces if piece.served != "mmap")


def _trap(bar: Bar, guest: int, piece: Piece) -> Trap:
    start, size = guest + piece.span.start, piece.span.size
    if piece.served == "trap":
        return Trap(start, size, "file", bar.file, bar.offset + piece.span.start)
    return Trap(start, size, piece.served)


def _bar_report(bar: Bar) -> BarReport:
    assert bar.planned is not None
    planned: Literal["mmap", "split", "trap"] = "trap" if bar.space == "port" or bar.size < 4096 else "mmap"
    return BarReport(bar.index, bar.size, bar.guest, planned, served(bar.pieces))


def _try(deed: Callable[[], None], failed: list[OSError]) -> None:
    try:
        deed()
    except OSError as error:
        failed.append(error)


_DO: dict[type[Any], Callable[[PassedDevice, Any], None]] = {
    HideBar: PassedDevice._hide_bar,
    ShowBar: PassedDevice._show_bar,
    Forward: PassedDevice._forward,
    Interrupt: PassedDevice._interrupt,
}
