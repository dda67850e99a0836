"""One function of a VFIO device: what its model says of the guest's accesses, done with VFIO and KVM.

Whatever the guest asks for, nothing here raises into a vCPU: what the kernel refuses is noted once and done without.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress

from launcher.executor.runner.devices.function import Alarm
from launcher.executor.runner.devices.interrupts import Interrupts
from launcher.executor.runner.devices.notes import Notes, cause
from launcher.executor.runner.devices.placing import Placing
from launcher.kernel.api import Device
from launcher.machine.function import MASTER, Asked, PassedFunction
from launcher.machine.policy import COMMAND
from launcher.plan.changes import Change, Forward, HideBar, Interrupt, ShowBar
from launcher.plan.outcome import DeviceReport
from launcher.plan.steps import Passed, PassedMdev
from launcher.typed import Any
from launcher.values import Span


class PassedDevice:
    """`function` is its model, `placing` where its BARs are. What either has to do without is in `notes`."""

    def __init__(
        self, step: Passed | PassedMdev, device: Device, function: PassedFunction, placing: Placing, notes: Notes
    ) -> None:
        self.step, self.device, self.function, self._placing, self.notes = step, device, function, placing, notes
        self.alias, self.devfn = step.alias, placing.devfn
        self.alarms: dict[str, Alarm] = {}
        self._interrupts: Interrupts | None = None
        self._messages = ("none", 0)  # msi or msix with its vectors, when it last had them
        self._do: dict[type[Any], Callable[[Any], None]] = {
            HideBar: placing.hide,
            ShowBar: placing.show,
            Forward: self._forward,
            Interrupt: self._interrupt,
        }

    # -- for the bus ---------------------------------------------------------------------------------------------------

    def alone(self) -> AbstractContextManager[object]:
        return nullcontext()

    def spans(self) -> tuple[Span, ...]:
        return self.function.spans()

    def read_config(self, offset: int, size: int) -> bytes:
        return self.function.read(offset, size, self._ask)

    def write_config(self, offset: int, data: bytes) -> None:
        self._apply(self.function.write(offset, data))

    def known(self, offset: int, size: int) -> bytes:
        return self.function.read(offset, size, lambda _, count: bytes(count))

    def asked(self) -> Asked:
        return self.function.asked()

    def try_waiting(self) -> None:
        self._apply(self._placing.waiting)

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
            self.notes.say(f"no INTx: {cause(error)}")  # messages do as well

    def quiet(self) -> None:
        """Interrupts off, then its BARs out of the guest's sight. What fails does not keep the rest, and is raised."""
        interrupts, self._interrupts = self._interrupts, None
        with ExitStack() as all_of_it:  # last first
            all_of_it.callback(self._placing.hide_all)
            if interrupts:
                all_of_it.callback(interrupts.stop)

    def silence(self) -> None:
        """It begins no DMA any more, and says so: what it wrote before is ahead of its answer (PCI Express 5.0, 2.4.1).
        OSError: it may not have heard. Its memory stays as it is: some resets go by a BAR."""
        self.device.write_config(COMMAND, (self._command() & ~MASTER).to_bytes(2, "little"))
        if self._command() & MASTER:
            raise OSError(errno.EIO, "it stays bus master", "pwrite of configuration space")

    def _command(self) -> int:
        """Of one that was pulled out, or hangs, the kernel reads all ones, and drops writes."""
        found = self.device.read_config(COMMAND, 2)
        if len(found) < 2 or found == b"\xff\xff":
            raise OSError(errno.EIO, "it does not answer", "pread of configuration space")
        return int.from_bytes(found, "little")

    def report(self) -> DeviceReport:
        kind, vectors = self._uses()
        return DeviceReport(
            alias=self.step.alias,
            host=str(self.step.address),
            group=self.step.group,
            guest=self.step.guest.guest,
            interrupts=kind,
            vectors=vectors,
            bars=self._placing.report(),
            state="; ".join((self._seen(), *self._placing.against_plan(), *self.notes.texts)),
            touched=self.function.touched,
            used=self.function.used,
            decodes=self.function.decodes,
        )

    def _seen(self) -> str:
        """Of what the guest did with it; that nothing has failed is no work of a device."""
        if not self.function.used:
            return "never switched on" if self.function.touched else "never touched"
        return f"{' and '.join(self.function.decodes)} on" if self.function.decodes else "switched off"

    # -- changes -------------------------------------------------------------------------------------------------------

    def _apply(self, changes: tuple[Change, ...]) -> None:
        deaf = False  # the device did not take a write: a BAR shown now might not answer
        for change in changes:
            if deaf and isinstance(change, ShowBar):
                continue
            try:
                self._do[type(change)](change)
            except OSError as error:
                deaf |= isinstance(change, Forward)
                self.notes.say(cause(error))

    def _ask(self, offset: int, size: int) -> bytes:
        with suppress(OSError):
            return self.device.read_config(offset, size)
        self.notes.say("its configuration space could not be read")
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
