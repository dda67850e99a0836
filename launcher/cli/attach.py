"""The channel to a keeper in, the guest's console on stdout and progress on stderr out, until the VM ends."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from launcher.codec import decode
from launcher.plan.codec import report_from_json
from launcher.plan.outcome import StepOutcome
from launcher.vms.channel import Closed

if TYPE_CHECKING:
    from launcher.executor.launch import Launched
    from launcher.plan.outcome import Observer, Report

STDIN = 0
BITE = 4096
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Attached:
    """`quiet`: the guest's words stay in its log. `follow` returns the last report, or None when the keeper was lost."""

    def __init__(self, launched: Launched, observer: Observer, *, detach: bool, quiet: bool) -> None:
        self._launched, self._observer, self._detach, self._quiet = launched, observer, detach, quiet
        self._early: list[bytes] = []  # console bytes that came before the last step was told
        self._running = False
        self._report: Report | None = None
        self._bug = ""
        self.line_open = False  # the guest's last byte was not a newline

    @property
    def bug(self) -> str:
        return self._bug

    def follow(self) -> Report | None:
        """Until the VM ends, or with `detach` until its vCPUs run."""
        wakeup, signals = socket.socketpair()
        for end in (wakeup, signals):
            end.setblocking(False)
        before = {number: signal.signal(number, lambda *_: None) for number in STOPS}
        signal.set_wakeup_fd(signals.fileno())
        try:
            self._listen(wakeup)
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            wakeup.close()
            signals.close()
        return self._report

    def _listen(self, wakeup: socket.socket) -> None:
        channel = self._launched.channel
        poll = select.poll()
        for source in (channel.fileno(), wakeup.fileno()):
            poll.register(source, select.POLLIN)
        if self._passes_input():
            poll.register(STDIN, select.POLLIN)
        with suppress(Closed):
            while not (self._detach and self._running):
                ready = {fd for fd, _ in poll.poll()}
                if wakeup.fileno() in ready:
                    for number in wakeup.recv(64):
                        channel.send({"do": "stop", "signal": number, "force": number == signal.SIGINT})
                if STDIN in ready:
                    typed = os.read(STDIN, BITE)
                    channel.send_bytes(typed) if typed else poll.unregister(STDIN)
                if channel.fileno() in ready:
                    self._hear()
        if self._detach and self._running:
            with suppress(Closed):
                channel.send({"do": "leave"})

    def _passes_input(self) -> bool:
        """A pipe or a file on stdin is what the guest reads."""
        if self._detach or self._quiet or os.isatty(STDIN):
            return False
        try:
            return bool(os.fstat(STDIN))
        except OSError:  # somebody closed it
            return False

    def _hear(self) -> None:
        while packet := self._launched.channel.receive(wait=False):
            if packet.message is None:
                self._console(packet.data)
            else:
                self._message(packet.message)
            if self._detach and self._running:
                return

    def _message(self, message: dict[str, Any]) -> None:
        if "outcome" in message:
            self._observer(decode(StepOutcome, message["outcome"]))
        if "running" in message or "report" in message:
            self._running = True
        last = message.get("running" if self._detach else "report") or message.get("report")
        if last is not None:
            self._report = report_from_json(last)
        self._bug = str(message.get("bug", self._bug))
        if self._running:
            early, self._early = self._early, []
            for data in early:
                self._console(data)

    def _console(self, data: bytes) -> None:
        if self._quiet or self._detach:
            return
        if not self._running:
            self._early.append(data)
            return
        self.line_open = not data.endswith(b"\n")
        view = memoryview(data)
        while view:
            view = view[os.write(sys.stdout.fileno(), view) :]
