"""What a virtio driver does, as its registers say, in; its engine told of it, and its interrupts wired, out.

Whatever the guest or the engine does, nothing here raises into a vCPU: what fails is noted, and the driver finds that
the device needs a reset.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import RLock

from launcher.executor.runner.devices.notes import Say, cause
from launcher.executor.runner.devices.serving import NO_EVENT, Engine, Wired
from launcher.kernel.api import Eventfd, IrqInfo, MemoryPart, RingPlace, VirtioRegisters, Vm, address_in
from launcher.machine.virtio import NO_VECTOR, NOTIFY, NOTIFY_STEP, Ring
from launcher.machine.virtio_config import VirtioConfig


class Kicks:
    """An eventfd for each queue, which the driver's notifications fire: KVM sees to that where the BAR is."""

    def __init__(self, vm: Vm, events: Sequence[Eventfd]) -> None:
        self.events = events
        self._vm = vm
        self._guest: int | None = None

    def move(self, guest: int | None) -> None:
        """The BAR is there now; None: nowhere. OSError: the notifications leave the kernel, and work all the same."""
        before, self._guest = self._guest, guest
        if before == guest:
            return
        if before is not None:
            for queue, event in enumerate(self.events):
                with suppress(OSError):  # one that KVM did not take is not there to be taken back
                    self._vm.deassign_ioeventfd(event, before + NOTIFY + NOTIFY_STEP * queue)
        if guest is not None:
            for queue, event in enumerate(self.events):
                self._vm.assign_ioeventfd(event, guest + NOTIFY + NOTIFY_STEP * queue)


class VirtioService:
    """As a Source of interrupts it has MSI-X and no line."""

    def __init__(
        self,
        config: VirtioConfig,
        registers: VirtioRegisters,
        engine: Engine,
        kicks: Kicks,
        memory: Sequence[MemoryPart],
        note: Say,
    ) -> None:
        self.registers, self.config, self._engine, self.kicks = registers, config, engine, kicks
        self._memory, self._note = memory, note
        self._lock = RLock()  # over registers and engine: an engine that is slow to answer stops nobody else
        self._rewires = False  # vectors have come or gone, and the engine does not know yet
        self._events: dict[int, int] = {}  # of vectors
        self._calls: dict[int, int] = {}  # of queues that were started: where their interrupts go
        self.starts = self.notified = self._worked = 0
        self._deeds: dict[str, Callable[[int], None]] = {
            "starts": self._start,
            "stops": self._reset,
            "rewired": self._rewire,
            "notified": self._notify,
        }

    @property
    def queues(self) -> int:
        """Those that the engine works on, or worked on last; those that there are, before a driver has started."""
        return self._worked or self._engine.queues

    @property
    def runs(self) -> bool:
        return bool(self._calls)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The bus's lock is taken inside and given back before the engine hears what became of its interrupts."""
        with self._lock:
            yield
            if self._rewires:
                self._rewires = False
                self._perform(self._rewire)

    # -- accesses that C asks about, and those through configuration space ---------------------------------------------

    def read(self, offset: int, size: int) -> bytes:
        return self.registers.read(offset, size)

    def write(self, offset: int, data: bytes) -> None:
        with self._lock:
            follows = self.registers.write(offset, data)
            if follows:
                self._perform(self._deeds[follows], offset)

    def read_config(self, offset: int, size: int) -> bytes:
        at = self.config.through(offset, size)
        return self.config.image(offset, size) if at is None else self.read(at, size)

    def write_config(self, offset: int, data: bytes) -> None:
        """The bus has its lock by then, which all functions share: an engine is waited for only at the window."""
        at = self.config.through(offset, len(data))
        if at is None:
            self.config.write(offset, data)
        else:
            self.write(at, data)

    def end(self) -> None:
        """The engine touches nothing of the guest when this returns, or has gone."""
        with self._lock:
            self._perform(self._stop)

    # -- what fires its interrupts: a Source, by who is alone ----------------------------------------------------------

    def irq(self, name: str) -> IrqInfo:
        return IrqInfo(self.registers.vectors if name == "msix" else 0, resizable=True)

    def set_irq_events(self, _: str, start: int, events: Sequence[int]) -> None:
        self._events |= dict(enumerate(events, start))
        self._rewires = True

    def switch_off_irqs(self, _: str) -> None:
        self._events.clear()
        self._rewires = True

    def mask_intx(self) -> None:
        """There is no line."""

    def unmask_intx(self) -> None:
        """There is none."""

    def unmask_intx_on(self, event: int) -> None:
        """There is none."""

    # -- what follows from a write, at `offset` in the BAR; with the lock held -----------------------------------------

    def _perform(self, deed: Callable[[int], None], offset: int = 0) -> None:
        try:
            deed(offset)
        except OSError as error:
            self._note(cause(error))
            self._needs_reset()

    def _start(self, _: int) -> None:
        self.starts += 1
        wired = [self._wired(Ring(*one)) for one in self.registers.rings()]
        calls = {one.place.number: one.call for one in wired}
        try:
            self._engine.start(self.registers.features, wired)
        except OSError:
            with suppress(OSError):
                self._engine.stop(tuple(calls))
            raise
        self._calls, self._worked = calls, len(calls)

    def _reset(self, _: int) -> None:
        """The driver reads a status of 0 when the engine touches nothing of the guest any more, or has failed."""
        try:
            self._stop()
        finally:
            self.registers.reset()

    def _stop(self, _: int = 0) -> None:
        calls, self._calls = self._calls, {}
        if calls:
            self._engine.stop(tuple(calls))

    def _rewire(self, _: int) -> None:
        """Vectors come and go while queues are worked on."""
        for queue, before in self._calls.items():
            now = self._call(queue)
            if now != before:
                self._calls[queue] = now
                self._engine.set_call(queue, now)

    def _notify(self, offset: int) -> None:
        """Where KVM has not taken it: by a window of configuration space, or without ioeventfds."""
        self.notified += 1
        self.kicks.events[(offset - NOTIFY) // NOTIFY_STEP].fire()

    def _needs_reset(self) -> None:
        self.registers.fail()
        event = self._events.get(self.registers.config_vector)
        if event is not None:
            with suppress(OSError):  # an engine whose queue has the same vector has filled it up: it has fired
                os.eventfd_write(event, 1)

    def _wired(self, ring: Ring) -> Wired:
        places = [address_in(self._memory, area) for area in ring.areas()]
        place = RingPlace(ring.number, ring.size, *places)
        return Wired(place, self.kicks.events[ring.number].fd, self._call(ring.number))

    def _call(self, queue: int) -> int:
        vector = self.registers.vector(queue)
        return NO_EVENT if vector == NO_VECTOR else self._events.get(vector, NO_EVENT)
