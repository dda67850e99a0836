"""The channel to a keeper in; outcomes, console bytes and reports out, as they come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from launcher.codec import decode
from launcher.errors import Diagnostic
from launcher.plan.codec import report_from_json
from launcher.plan.outcome import Observer, Report, StepOutcome
from launcher.vms.channel import Channel, Closed, Packet
from launcher.vms.waiting import Wait
from launcher.vms.words import Failed, Leave, Order, Signal, Stop, Type, order

OnConsole = Callable[[bytes], None]


class Conversation:
    """`on_console` is told what the guest says, from the moment its vCPUs run: nothing mixes with the progress.

    To a keeper that has gone there is nothing to say; what it said before is still to be heard.
    """

    def __init__(
        self,
        channel: Channel,
        on_outcome: Observer,
        on_console: OnConsole,
        *,
        owner: bool = True,
        wait: Wait | None = None,
    ) -> None:
        self.channel = channel
        self.wait = wait  # for what the guest is to say
        self.gone = False  # the keeper has nothing more to say
        self.writer = True if owner else None  # of all who are attached, one; None: not known yet
        self.stopping: str | None = None  # who or what stops the VM
        self.running: Report | None = None  # once the vCPUs run
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
        """What the keeper said."""
        if packet.message is not None:
            self._message(packet.message)
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
        self._say(Leave())

    def _say(self, word: Order) -> None:
        with suppress(Closed):
            self.channel.send(order(word))

    def _listen(self, data: bytes) -> None:
        self._on_console(data)
        if self.wait is not None:
            self.wait.hear(data)

    def _message(self, message: dict[str, Any]) -> None:
        if "outcome" in message:
            self._on_outcome(decode(StepOutcome, message["outcome"]))
        if "full" in message:
            self.full = int(message["full"])
        if "taken" in message:
            self._taken = True
        if "writer" in message:
            self.writer, self._taken = message["writer"] is True, True
        if "stopping" in message:
            self.stopping = str(message["stopping"])
        if "running" in message:
            self.running = report_from_json(message["running"])
        if "report" in message:
            self.ended = report_from_json(message["report"])
            self.running = self.running or self.ended
        if "failed" in message:
            self.failed = decode(Failed, message["failed"]).diagnostics
        self.bug = str(message.get("bug", self.bug))
        if self.running is not None:
            early, self._early = self._early, []
            for data in early:
                self._listen(data)
