"""What a guest wants of a function's interrupts in; VFIO's eventfds tied to KVM's GSIs out.

A vector that the guest masks keeps its eventfd and loses its irqfd: what fires meanwhile waits in the counter, and KVM
delivers it when the irqfd comes back.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass

from launcher.executor.routes import Routes
from launcher.kernel.api import Device, Eventfd, Vm
from launcher.plan.changes import Interrupt, Vector

Note = Callable[[str], None]  # something that the report should say


@dataclass(slots=True)
class Line:
    """One vector: `route` is where its interrupts go now, None while masked."""

    event: Eventfd
    gsi: int
    route: Vector | None = None


class Interrupts:
    """Of one function. `gsi` is its INTx line's; `note` is told what had to be done without."""

    def __init__(
        self, device: Device, vm: Vm, routes: Routes, make: Callable[[], Eventfd], gsi: int, note: Note
    ) -> None:
        self._device, self._vm, self._routes, self._make, self._gsi, self._note = device, vm, routes, make, gsi, note
        self._lines: list[Line] = []
        self._most = 0  # vectors that could be had
        self._intx: tuple[Eventfd, Eventfd] | None = None
        self.kind = "none"

    @property
    def vectors(self) -> int:
        return 1 if self._intx else len(self._lines)

    def become(self, wanted: Interrupt) -> None:
        """A function interrupts in one way at a time: the old one is off before the new one begins."""
        if wanted.kind != self.kind:
            self.stop()
            self.kind = wanted.kind
            if wanted.kind != "none":
                self._most = self._device.irq(wanted.kind).vectors
        if wanted.kind == "intx":
            self._arm_intx()
        else:
            self._become_vectors(wanted.vectors)

    def stop(self) -> None:
        """Also the first part of taking the function from the guest."""
        if self._intx:
            trigger, resample = self._intx
            self._intx = None
            self._vm.deassign_irqfd(trigger, self._gsi)
            self._device.switch_off_irqs("intx")
            trigger.close()
            resample.close()
        if self._lines:
            self._switch_off()
            for line in self._lines:
                self._routes.give_back(line.gsi)
                line.event.close()
            self._lines.clear()
        self.kind = "none"

    def pending(self) -> int:
        """Bit n: vector n has fired and is masked."""
        masked = {line.event.fd: n for n, line in enumerate(self._lines) if line.route is None}
        poll = select.poll()
        for descriptor in masked:
            poll.register(descriptor, select.POLLIN)
        return sum(1 << masked[descriptor] for descriptor, _ in poll.poll(0))

    # -- INTx ----------------------------------------------------------------------------------------------------------

    def _arm_intx(self) -> None:
        """Masked until the guest's end of interrupt can be seen. Optional where there are messages."""
        if self._intx:
            return
        trigger, resample = self._make(), self._make()
        try:
            self._device.set_irq_events("intx", 0, (trigger.fd,))
            self._device.mask_intx()
            self._vm.assign_irqfd(trigger, self._gsi, resample)
            self._device.unmask_intx_on(resample.fd)
            self._device.unmask_intx()
        except OSError as error:
            trigger.close()
            resample.close()
            self.kind = "none"
            self._note(f"no INTx: {error.strerror} ({error.filename})")
            return
        self._intx = (trigger, resample)

    # -- messages ------------------------------------------------------------------------------------------------------

    def _become_vectors(self, wanted: tuple[Vector | None, ...]) -> None:
        self._grow(min(len(wanted), self._most))
        for line, vector in zip(self._lines, wanted, strict=False):
            if vector is not None:
                self._routes.route(line.gsi, vector)
        self._routes.commit()
        padded = (*wanted, *(None,) * (len(self._lines) - len(wanted)))
        for line, vector in zip(self._lines, padded, strict=False):
            self._attach(line, vector)

    def _attach(self, line: Line, vector: Vector | None) -> None:
        if vector is not None and line.route is None:
            self._vm.assign_irqfd(line.event, line.gsi)
        elif vector is None and line.route is not None:
            self._vm.deassign_irqfd(line.event, line.gsi)
        line.route = vector

    def _grow(self, count: int) -> None:
        """Vectors are had as the guest uses them; before Linux 6.5 all are switched off to have one more."""
        have = len(self._lines)
        if count <= have:
            return
        new = [Line(self._make(), self._routes.take()) for _ in range(count - have)]
        try:
            if have and not self._device.irq(self.kind).resizable:
                self._device.switch_off_irqs(self.kind)
                have = 0
            events = tuple(line.event.fd for line in (*self._lines, *new))
            self._device.set_irq_events(self.kind, have, events[have:])
        except OSError as error:
            self._do_without(new, error)
            return
        self._lines += new

    def _do_without(self, new: list[Line], error: OSError) -> None:
        """What there was before works on; the guest's further vectors never fire."""
        for line in new:
            line.event.close()
            self._routes.give_back(line.gsi)
        self._most = len(self._lines)
        self._note(f"{len(self._lines)} of {len(self._lines) + len(new)} interrupt vectors: {error.strerror}")
        if self._lines:
            self._device.set_irq_events(self.kind, 0, tuple(line.event.fd for line in self._lines))

    def _switch_off(self) -> None:
        for line in self._lines:
            self._attach(line, None)
        self._device.switch_off_irqs(self.kind)
