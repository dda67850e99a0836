"""One virtio function on the guest's bus: configuration space, BAR and vectors by the model of any function."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from launcher.executor.runner.devices.function import Alarm
from launcher.executor.runner.devices.interrupts import Interrupts
from launcher.executor.runner.devices.notes import Notes, cause
from launcher.executor.runner.devices.placing import Placing
from launcher.executor.runner.devices.service import VirtioService
from launcher.machine.function import Asked, PassedFunction
from launcher.plan.changes import Change, Forward, HideBar, Interrupt, ShowBar
from launcher.plan.outcome import VirtioReport
from launcher.plan.virtio import Virtio
from launcher.typed import Any
from launcher.values import Span

BAR = 0


class VirtioDevice:
    """`function` is the model of any function, `service` what its registers stand for."""

    def __init__(
        self, step: Virtio, function: PassedFunction, placing: Placing, service: VirtioService, notes: Notes
    ) -> None:
        self.step, self.function, self._placing, self.service, self.notes = step, function, placing, service, notes
        self.alias, self.devfn = step.alias, placing.devfn
        self.alarms: dict[str, Alarm] = {}
        self._interrupts: Interrupts | None = None
        self._do: dict[type[Any], Callable[[Any], None]] = {
            HideBar: self._hide,
            ShowBar: self._show,
            Forward: self._forward,
            Interrupt: self._interrupt,
        }

    # -- for the bus ---------------------------------------------------------------------------------------------------

    def alone(self) -> AbstractContextManager[object]:
        return self.service.alone()

    def spans(self) -> tuple[Span, ...]:
        return self.function.spans()

    def read_config(self, offset: int, size: int) -> bytes:
        return self.function.read(offset, size, self.service.read_config)

    def write_config(self, offset: int, data: bytes) -> None:
        self._apply(self.function.write(offset, data))

    def known(self, offset: int, size: int) -> bytes:
        return self.function.read(offset, size, self.service.config.image)

    def asked(self) -> Asked:
        return self.service.config.asked(self.function.asked())

    def try_waiting(self) -> None:
        self._apply(self._placing.waiting)

    def read_table(self, piece: str, offset: int, size: int) -> bytes:
        """`piece` is registers, table or pending."""
        if piece == "registers":
            return self.service.read(offset, size)
        if piece == "table":
            return self.function.table.read(offset, size)
        waiting = self._interrupts.pending() if self._interrupts else 0
        return self.function.pending(offset, size, waiting)

    def write_table(self, piece: str, offset: int, data: bytes) -> None:
        if piece == "registers":
            self.service.write(offset, data)
        elif piece == "table":
            self._apply(self.function.write_table(offset, data))

    # -- life ----------------------------------------------------------------------------------------------------------

    def begin(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._forward(self.function.first_command())

    def quiet(self) -> None:
        """The engine first: it must touch nothing of a guest that ends. What fails does not keep the rest."""
        interrupts, self._interrupts = self._interrupts, None
        with ExitStack() as all_of_it:  # last first
            all_of_it.callback(self._placing.hide_all)
            all_of_it.callback(self.service.kicks.move, None)
            if interrupts:
                all_of_it.callback(interrupts.stop)
            self.service.end()

    def report(self) -> VirtioReport:
        registers = self.service.registers
        return VirtioReport(
            alias=self.alias,
            kind=self.step.kind,
            engine=self.step.engine,
            guest=self.step.guest.guest,
            features=registers.features if self.service.runs else registers.offered,
            queues=self.service.queues,
            vectors=self._interrupts.vectors if self._interrupts else 0,
            state="; ".join((self._seen(), *self.notes.texts)),
            starts=self.service.starts,
            notified=self.service.notified,
        )

    def _seen(self) -> str:
        if self.service.runs:
            return "its driver runs"
        return "its driver has stopped" if self.service.starts else "no driver has started"

    # -- changes -------------------------------------------------------------------------------------------------------

    def _apply(self, changes: tuple[Change, ...]) -> None:
        for change in changes:
            try:
                self._do[type(change)](change)
            except OSError as error:
                self.notes.say(cause(error))

    def _show(self, change: ShowBar) -> None:
        """It may have to wait for its place."""
        self._placing.show(change)
        self.service.kicks.move(self._placing.place(BAR))

    def _hide(self, change: HideBar) -> None:
        self.service.kicks.move(None)
        self._placing.hide(change)

    def _forward(self, change: Forward) -> None:
        self.service.write_config(change.offset, change.data)

    def _interrupt(self, change: Interrupt) -> None:
        if self._interrupts:
            self._interrupts.become(change)
