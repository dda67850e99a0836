"""What a guest wants of a function's interrupts in; the eventfds of their source tied to KVM's GSIs out.

A vector that the guest masks keeps its eventfd and loses its irqfd: what fires meanwhile waits in the counter, and KVM
delivers it when the irqfd comes back.
"""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from contextlib import ExitStack, nullcontext, suppress

from launcher.executor.runner.devices.routes import Routes
from launcher.kernel.api import Eventfd, FewVectors, IrqInfo, Vm
from launcher.plan.changes import Interrupt, Vector
from launcher.record import mutable
from launcher.row import NamedTuple
from launcher.typed import Protocol

SayAbout = Callable[[str, str], None]  # what it is about, and what the report should say of it


class Source(Protocol):
    """What fires a function's interrupts, and by which rules: a VFIO device (VFIO_DEVICE_SET_IRQS), or one of our own.

    `name` is intx, msi or msix. The rules are those of kernel.vfio.Device.
    """

    def irq(self, name: str) -> IrqInfo: ...
    def set_irq_events(self, name: str, start: int, events: Sequence[int]) -> None: ...
    def switch_off_irqs(self, name: str) -> None: ...
    def mask_intx(self) -> None: ...
    def unmask_intx(self) -> None: ...
    def unmask_intx_on(self, event: int) -> None: ...


@mutable
class Line:
    """One vector: `route` is where its interrupts go now, None while masked."""

    event: Eventfd
    gsi: int
    route: Vector | None = None


class ByHand:
    """The end of an interrupt in, its line unmasked out: for a driver that does not wait for it itself (ENOTTY of
    VFIO_IRQ_SET_ACTION_UNMASK by an eventfd), as those of mediated devices may. An alarm, of which nobody is told."""

    def __init__(self, ends: Eventfd, source: Source) -> None:
        self.fd, self._ends, self._source = ends.fd, ends, source

    def take(self) -> bool:
        if self._ends.take():
            with suppress(OSError):  # the guest has gone over to messages meanwhile
                self._source.unmask_intx()
        return False


class Pin(NamedTuple):
    """Of INTx: the GSI of its line, and what fires when the guest ends one, where somebody waits for that."""

    gsi: int = 0
    ends: Eventfd | None = None


class Interrupts:
    """The interrupts of one function. `note` is told what had to be done without."""

    def __init__(
        self, source: Source, vm: Vm, routes: Routes, make: Callable[[], Eventfd], pin: Pin, note: SayAbout
    ) -> None:
        self._source, self._vm, self._routes, self._make, self._pin, self._note = source, vm, routes, make, pin, note
        self._lines: list[Line] = []
        self._on = False  # the source has the eventfds of the lines
        self._most = 0  # vectors that could be had
        self._intx: ExitStack | None = None  # how to take it apart
        self.kind = "none"

    @property
    def vectors(self) -> int:
        return 1 if self._intx else len(self._lines)

    def become(self, wanted: Interrupt) -> None:
        """A function interrupts in one way at a time: the old one is off before the new one begins.

        OSError: it is not all as wanted, and as much as could be had; nothing is left half done.
        """
        if wanted.kind != self.kind:
            self._end(wanted.kind)
        if wanted.kind == "intx":
            self._arm_intx()
        elif wanted.kind != "none":
            self._become_vectors(wanted.vectors)

    def stop(self) -> None:
        """Also the first part of taking the function from the guest. What fails does not keep the rest."""
        with ExitStack() as all_of_it:  # last first
            all_of_it.callback(self._forget)
            if self._on:
                all_of_it.callback(self._source.switch_off_irqs, self.kind)
            for line in self._lines:
                if line.route is not None:
                    all_of_it.callback(self._vm.deassign_irqfd, line.event, line.gsi)
            if self._intx:
                all_of_it.callback(self._intx.close)

    def pending(self) -> int:
        """Bit n: vector n has fired and is masked."""
        masked = {line.event.fd: n for n, line in enumerate(self._lines) if line.route is None}
        poll = select.poll()
        for descriptor in masked:
            poll.register(descriptor, select.POLLIN)
        return sum(1 << masked[descriptor] for descriptor, _ in poll.poll(0))

    def _end(self, kind: str) -> None:
        """What there was, before `kind`."""
        try:
            self.stop()
        except OSError as error:
            self._note("end", f"{self.kind} could not be switched off: {error.strerror}")
        self.kind = kind
        if kind not in ("none", "intx"):
            self._most = self._source.irq(kind).vectors

    def _forget(self) -> None:
        self._drop(self._lines)
        self._lines.clear()
        self._intx, self._on, self.kind = None, False, "none"

    # -- INTx ----------------------------------------------------------------------------------------------------------

    def _arm_intx(self) -> None:
        """Masked until the guest's end of interrupt can be seen."""
        if self._intx:
            return
        self.kind = "none"
        with ExitStack() as undo:
            trigger = self._make()
            undo.callback(trigger.close)
            resample = self._pin.ends or self._make()
            if self._pin.ends is None:
                undo.callback(resample.close)
            self._source.set_irq_events("intx", 0, (trigger.fd,))
            undo.callback(self._source.switch_off_irqs, "intx")
            self._source.mask_intx()
            self._vm.assign_irqfd(trigger, self._pin.gsi, resample)
            undo.callback(self._vm.deassign_irqfd, trigger, self._pin.gsi)
            with suppress(OSError) if self._pin.ends else nullcontext():
                self._source.unmask_intx_on(resample.fd)
            self._source.unmask_intx()
            self._intx = undo.pop_all()
        self.kind = "intx"

    # -- messages ------------------------------------------------------------------------------------------------------

    def _become_vectors(self, wanted: tuple[Vector | None, ...]) -> None:
        """A guest changes one at a time, by a write for each of its four words."""
        self._grow(min(len(wanted), self._most))
        padded = (*wanted, *(None,) * (len(self._lines) - len(wanted)))
        changed = [(one, new) for one, new in zip(self._lines, padded, strict=False) if new != one.route]
        if not changed:
            return
        for line, vector in changed:
            if vector is not None:
                self._routes.route(line.gsi, vector)
        self._routes.commit()
        with ExitStack() as all_of_them:
            for line, vector in changed:
                all_of_them.callback(self._attach, line, vector)

    def _attach(self, line: Line, vector: Vector | None) -> None:
        if vector is not None and line.route is None:
            self._vm.assign_irqfd(line.event, line.gsi)
        elif vector is None and line.route is not None:
            self._vm.deassign_irqfd(line.event, line.gsi)
        line.route = vector

    def _grow(self, count: int) -> None:
        """Vectors are had as the guest uses them. Those that cannot be had never fire; the others work on."""
        wanted, cause = count, ""
        while len(self._lines) < count:
            new: list[Line] = []
            try:
                for _ in range(count - len(self._lines)):
                    new.append(self._line())
                self._switch_on(new)
                self._lines += new
            except OSError as error:
                self._drop(new)
                made = len(self._lines) + len(new)  # all, or as many as there were descriptors and routes for
                left = error.available if isinstance(error, FewVectors) else made if made < count else 0
                count = self._most = max(min(left, count - 1), len(self._lines))
                cause = error.strerror or ""
        if cause:
            self._note("vectors", f"{len(self._lines)} of {wanted} interrupt vectors: {cause}")
        if self._lines and not self._on:
            self._switch_on(())

    def _line(self) -> Line:
        event = self._make()
        try:
            return Line(event, self._routes.take())
        except OSError:
            event.close()
            raise

    def _switch_on(self, new: Sequence[Line]) -> None:
        """And those that are on stay so; before Linux 6.5 all are switched off to have one more."""
        events = [line.event.fd for line in (*self._lines, *new)]
        off = self._on and not self._source.irq(self.kind).resizable
        if off:
            self._source.switch_off_irqs(self.kind)
            self._on = False
        have = len(self._lines) if self._on else 0
        self._source.set_irq_events(self.kind, have, events[have:])
        self._on = True
        for line in self._lines if off else ():
            if line.route is not None:
                line.event.fire()  # a message meanwhile was lost, and one too many does no harm

    def _drop(self, lines: Sequence[Line]) -> None:
        for line in lines:
            line.event.close()
            self._routes.give_back(line.gsi)
