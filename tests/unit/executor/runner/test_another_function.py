"""A function that is none of VFIO's, on the bus as it is: its BAR is shown, moved and hidden, its vector fires."""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing
from threading import RLock, Thread
from typing import Any

import pytest

from launcher.executor.runner.devices.bus import Bus
from launcher.executor.runner.devices.function import Function
from launcher.executor.runner.devices.interrupts import Interrupts, Pin
from launcher.executor.runner.devices.notes import Notes
from launcher.executor.runner.devices.placing import AddressMap, Bar, Memslots, Placing
from launcher.executor.runner.devices.routes import Routes
from launcher.executor.runner.devices.traps import Traps
from launcher.kernel.api import SPACES, Eventfd, HostMemory, IrqInfo
from launcher.machine.boards import board_of
from launcher.machine.function import Asked, PassedFunction
from launcher.machine.pci import CONFIG_SIZE
from launcher.machine.pieces import pieces
from launcher.machine.policy import Shape
from launcher.plan.changes import Change, Forward, HideBar, Interrupt, ShowBar
from launcher.plan.outcome import DeviceReport
from launcher.plan.steps import BarPlace
from launcher.values import KIB, MIB, Span
from tests.fakes.kernel import FakeKernel

MEMORY, CONFIG = (next(n for n, name in SPACES.items() if name == kind) for kind in ("memory", "config"))
RAM, BOARD = Span(0, 16 * MIB), board_of("x86_64")
SIZE, MAPPED, TABLE, PENDING = 16 * KIB, Span(0, 8 * KIB), Span(8 * KIB, 16), Span(12 * KIB, 8)
FIRST, SECOND, HERE, THERE = 3 * 8, 4 * 8, 0xC0000000, 0xC0010000
COMMAND, BAR, MSIX, BELL = 0x04, 0x10, 0x40, 0x80
IDS = struct.pack("<HHHH", 0x1AF4, 0x1044, 0, 0x10).ljust(0x34, b"\0") + bytes((MSIX,))
PATIENCE = 20.0
MSIX_CAPABILITY = struct.pack("<BBHII", 0x11, 0, 0, TABLE.start, PENDING.start)
REGISTERS = (IDS.ljust(MSIX, b"\0") + MSIX_CAPABILITY).ljust(256, b"\0")


class Bell:
    """8 KiB of memory that the guest has as it is, and one vector: what is written to the register BELL fires it."""

    def __init__(self, slot: int, memory: HostMemory, where: AddressMap, fire: Callable[[int], None]) -> None:
        self.alias, self.devfn, self.alarms = "bell", slot, dict[str, Eventfd]()
        self.notes, self._fire, self._events = Notes(), fire, list[int]()
        self.engine: AbstractContextManager[Any] = RLock()
        plan = BarPlace(0, "mem32", False, SIZE, HERE, "split")
        self._model = PassedFunction(Shape(REGISTERS, (plan,), 0, multifunction=False, intx=False))
        parts = pieces(SIZE, (MAPPED,), TABLE, PENDING)
        bar = Bar(0, "memory", SIZE, -1, 0, parts, {MAPPED: memory}, plan)
        self._placing = Placing(slot, {0: bar}, where, self.notes.say)
        self.do: dict[type[Any], Callable[[Any], None]] = {
            ShowBar: self._placing.show, HideBar: self._placing.hide, Forward: self._ring
        }  # fmt: skip

    def begin(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self.do[Interrupt] = interrupts.become

    # -- Function -----------------------------------------------------------------------------------------------------

    def alone(self) -> AbstractContextManager[Any]:
        return self.engine

    def read_config(self, offset: int, size: int) -> bytes:
        return self._model.read(offset, size, lambda at, count: REGISTERS[at : at + count])

    def write_config(self, offset: int, data: bytes) -> None:
        self._apply(self._model.write(offset, data))

    def known(self, offset: int, size: int) -> bytes:
        return self.read_config(offset, size)

    def asked(self) -> Asked:
        return self._model.asked()

    def read_table(self, piece: str, offset: int, size: int) -> bytes:
        if piece == "table":
            return self._model.table.read(offset, size)
        return self._model.pending(offset, size, self._interrupts.pending())

    def write_table(self, piece: str, offset: int, data: bytes) -> None:
        self._apply(self._model.write_table(offset, data))

    def try_waiting(self) -> None:
        self._apply(self._placing.waiting)

    def quiet(self) -> None:
        self._interrupts.stop()
        self._placing.hide_all()

    def report(self) -> DeviceReport:
        kind, vectors = self._interrupts.kind, self._interrupts.vectors
        state = "; ".join((*self._placing.against_plan(), *self.notes.texts)) or "works"
        return DeviceReport("bell", "", 0, "", kind, vectors, self._placing.report(), state)

    def _apply(self, changes: Sequence[Change]) -> None:
        for change in changes:
            self.do[type(change)](change)

    def _ring(self, change: Forward) -> None:
        if change.offset == BELL:
            for event in self._events:
                self._fire(event)

    # -- Source --------------------------------------------------------------------------------------------------------

    def irq(self, name: str) -> IrqInfo:
        return IrqInfo(1 if name == "msix" else 0, resizable=True)

    def set_irq_events(self, name: str, start: int, events: Sequence[int]) -> None:
        self._events[start:] = events

    def switch_off_irqs(self, name: str) -> None:
        self._events.clear()

    def mask_intx(self) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), "it has no INTx")

    unmask_intx = mask_intx

    def unmask_intx_on(self, event: int) -> None:
        self.mask_intx()


class House:
    """A VM of the fake kernel with two bells on its bus."""

    def __init__(self, undo: ExitStack) -> None:
        self.kernel = kernel = FakeKernel()
        self.vm = undo.enter_context(closing(undo.enter_context(closing(kernel.open_kvm())).create_vm()))
        self.vm.create_interrupt_controllers()
        self.machine = undo.enter_context(closing(self.vm.create_machine(4, 9)))
        traps, routes = Traps(self.machine, (), ()), Routes(self.vm, BOARD, 4096)
        self.bus, self.slots = Bus(self.machine, traps), Memslots(1, 4)
        where = AddressMap(self.vm, traps, (RAM,), BOARD.layout, self.slots)
        self.bells: Mapping[int, Bell] = {slot: self._bell(slot, where, routes, undo) for slot in (FIRST, SECOND)}

    def _bell(self, slot: int, where: AddressMap, routes: Routes, undo: ExitStack) -> Bell:
        memory = undo.enter_context(closing(self.kernel.take_memory(MAPPED.size, 4 * KIB, None)))
        bell = Bell(slot, memory, where, self.kernel.fire)
        bell.begin(Interrupts(bell, self.vm, routes, self.kernel.eventfd, Pin(), bell.notes.say_about))
        undo.callback(bell.quiet)
        one: Function = bell
        self.bus.add(one)
        undo.callback(self.bus.remove, one)
        return bell

    def config(self, slot: int, offset: int, value: int, size: int = 2) -> None:
        self.bus.write(CONFIG, slot * CONFIG_SIZE + offset, size, value)

    def put(self, slot: int, guest: int) -> None:
        for offset, value, size in ((COMMAND, 0, 2), (BAR, guest, 4), (COMMAND, 2, 2)):
            self.config(slot, offset, value, size)

    def arm(self, bar: int, *, masked: bool = False) -> None:
        for n, word in enumerate((0xFEE00000, 0, 0x41, int(masked))):
            self.bus.write(MEMORY, bar + TABLE.start + 4 * n, 4, word)

    def memslots(self) -> list[Span]:
        return [span for span, _ in self.vm.slots.values()]

    def where(self, slot: int) -> int | None:
        return self.bells[slot].report().bars[0].guest


@pytest.fixture
def house() -> Iterator[House]:
    with ExitStack() as undo:
        made = House(undo)
        yield made
    assert made.kernel.left() == []
    assert sorted(iter(made.slots.take, None)) == [1, 2, 3]


def test_its_bar_is_shown_moved_and_hidden_and_its_memslot_comes_and_goes(house: House) -> None:
    assert house.bus.read(CONFIG, FIRST * CONFIG_SIZE, 4) == 0x10441AF4
    for guest in (HERE, THERE):
        house.put(FIRST, guest)
        assert (house.where(FIRST), house.memslots()) == (guest, [Span(guest, MAPPED.size)])
        tables = {one.kind: one.start for one in house.machine.memory if one.kind != "file"}
        assert tables == {"table": guest + TABLE.start, "pending": guest + PENDING.start}
    assert house.bells[FIRST].report().state == "works"
    house.config(FIRST, COMMAND, 0)
    assert (house.where(FIRST), house.memslots(), house.machine.memory) == (None, [], ())


def test_its_vector_fires_and_waits_while_it_is_masked(house: House) -> None:
    house.put(FIRST, HERE)
    house.config(FIRST, MSIX + 2, 0x8000)
    house.arm(HERE)
    house.config(FIRST, BELL, 1)
    assert len(house.kernel.delivered) == 1
    house.arm(HERE, masked=True)
    house.config(FIRST, BELL, 1)
    assert (len(house.kernel.delivered), house.bus.read(MEMORY, HERE + PENDING.start, 8)) == (1, 1)
    house.arm(HERE)
    assert (len(house.kernel.delivered), house.bus.read(MEMORY, HERE + PENDING.start, 8)) == (2, 0)
    assert (house.bells[FIRST].report().interrupts, house.bells[FIRST].report().vectors) == ("msix", 1)


def test_two_of_them_are_never_in_one_place_and_the_second_comes_when_the_first_goes(house: House) -> None:
    house.put(FIRST, HERE)
    house.put(SECOND, HERE)
    assert (house.where(SECOND), house.memslots()) == (None, [Span(HERE, MAPPED.size)])
    house.config(FIRST, COMMAND, 0)
    assert (house.where(FIRST), house.where(SECOND)) == (None, HERE)
    house.put(FIRST, RAM.start)
    assert house.where(FIRST) is None


def test_without_a_memslot_it_is_trapped_and_says_so(house: House) -> None:
    taken = list(iter(house.slots.take, None))
    house.put(FIRST, HERE)
    told = house.bells[FIRST].report()
    assert (told.bars[0].served, house.memslots()) == ("trap", [])
    assert told.state == "BAR 0 is served by trap, planned split; BAR 0 is trapped: KVM has no memslot left"
    for slot in taken:
        house.slots.give_back(slot)


def test_a_function_that_waits_for_its_engine_keeps_no_other_waiting(house: House) -> None:
    """As when its vectors change: with the bus's lock held all vCPUs would wait at their next access."""
    house.put(FIRST, HERE)
    house.put(SECOND, THERE)

    def of_another() -> None:
        house.config(SECOND, MSIX + 2, 0x8000)
        house.arm(THERE)

    writes = [Thread(target=house.arm, args=(HERE,)), Thread(target=house.config, args=(FIRST, MSIX + 2, 0x8000))]
    other = Thread(target=of_another, daemon=True)
    with house.bells[FIRST].engine:
        for one in (*writes, other):
            one.start()
        other.join(PATIENCE)
        assert [one.is_alive() for one in (*writes, other)] == [True, True, False]
    for one in writes:
        one.join()
