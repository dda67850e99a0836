"""Packets of a keeper in; outcomes, console bytes and reports, as they come, out. And orders to it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from launcher.errors import Diagnostic
from launcher.kernel.resting import Rest
from launcher.plan.outcome import Observer, Report, StepOutcome
from launcher.vms.awaited import AwaitedText
from launcher.vms.channel import Channel, Closed, Packet
from launcher.vms.notices import (
    Full,
    HasEnded,
    IsEnding,
    IsRunning,
    IsStopping,
    MayType,
    Notice,
    Taken,
    notice_from_json,
)
from launcher.vms.orders import Leave, Order, Signal, Stop, Type, order
from launcher.vms.words import Bug, Failed

OnConsole = Callable[[bytes], None]


class Conversation:
    """`on_console` gets the guest's output once its vCPUs run, and not before: nothing mixes with the progress.

    To a keeper that has gone there is nothing to say; what it said before is still to be heard.
    """

    def __init__(
        self,
        channel: Channel,
        on_outcome: Observer,
        on_console: OnConsole,
        *,
        owner: bool = True,
        awaited: AwaitedText | None = None,
    ) -> None:
        self.channel = channel
        self.awaited = awaited  # what the guest is to say
        self.rest = Rest()  # of whoever stays beside the VM
        self.gone = False  # the keeper has nothing more to say
        self.left = False  # we have: the VM goes on without us
        self.writer = True if owner else None  # of all who are attached, one; None: not known yet
        self.stopping: str | None = None  # who or what stops the VM
        self.running: Report | None = None  # once the vCPUs run
        self.ending = False  # the guest runs no more
        self.ended: Report | None = None
        self._taken = True  # the keeper has taken the last piece of input
        self.bug = ""  # a traceback of keeper or runner
        self.full = 0  # so many listen already, and we may not
        self.failed: tuple[Diagnostic, ...] = ()  # why the keeper went without a report
        self._on_outcome, self._on_console = on_outcome, on_console
        self._early: list[bytes] = []

    def fileno(self) -> int:
        return self.channel.fileno()

    def close(self) -> None:
        self.channel.close()

    def hear(self, *, wait: bool) -> bool:
        """Take in the next packet; False when there is none and `wait` is False, or the keeper has `gone`."""
        try:
            packet = self.channel.receive(wait=wait)
        except Closed:
            self.gone = True
            return False
        if packet is None:
            return False
        self.take(packet)
        return True

    def take(self, packet: Packet) -> None:
        """A packet that was received already."""
        if packet.message is not None:
            self._hear_notice(notice_from_json(packet.message))
        elif self.running is None:
            self._early.append(packet.data)
        else:
            self._listen(packet.data)

    @property
    def may_type(self) -> bool:
        return self.writer is True and self._taken

    def want_to_type(self, wanted: bool) -> None:
        """The keeper answers who is the writer."""
        self._say(Type(wanted))

    def type(self, data: bytes) -> None:
        """A piece of input for the guest, only while `may_type`."""
        self._taken = False
        with suppress(Closed):
            self.channel.send_bytes(data)

    def signalled(self, number: int) -> None:
        """Pass a signal on: SIGTERM and SIGHUP press the power button, SIGINT ends the VM."""
        self._say(Signal(number))

    def stop(self, by: str, timeout: float, *, force: bool) -> None:
        """`by` is who asks, for the report: the power button first, unless `force`."""
        self._say(Stop(by, force, timeout))

    def leave(self) -> None:
        """Go away without stopping the VM."""
        self.left = True
        self._say(Leave())

    def _say(self, word: Order) -> None:
        with suppress(Closed):
            self.channel.send(order(word))

    def _listen(self, data: bytes) -> None:
        self._on_console(data)
        if self.awaited is not None:
            self.awaited.hear(data)

    def _hear_notice(self, notice: Notice | None) -> None:
        match notice:
            case StepOutcome():
                self._on_outcome(notice)
            case Full(most):
                self.full = most
            case Taken():
                self._taken = True
            case MayType(on):
                self.writer, self._taken = on, True
            case IsStopping(by):
                self.stopping = by
            case IsEnding():
                self.ending = True
            case IsRunning(report):
                self.running = report
            case HasEnded(report):
                self.ended = report
                self.running = self.running or report
            case Failed(diagnostics):
                self.failed = diagnostics
            case Bug(bug):
                self.bug = bug
        if self.running is not None:
            early, self._early = self._early, []
            for data in early:
                self._listen(data)
