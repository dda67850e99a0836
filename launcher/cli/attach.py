"""A keeper's conversation in; the guest's console on stdout, stdin to the guest, signals to the keeper, out."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from launcher.cli.keyboard import HINT, STDIN, Keyboard, is_ours, raw
from launcher.vms.channel import Closed

if TYPE_CHECKING:
    from launcher.executor.conversation import Conversation

BITE = 4096
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PATIENCE = 30.0  # seconds a guest has after the power button


class Terminal:
    """Where the guest's words go. `quiet`: nowhere, they stay in its log."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.line_open = False  # the last byte was not a newline

    def __call__(self, data: bytes) -> None:
        if self._quiet:
            return
        self.line_open = not data.endswith(b"\n")
        view = memoryview(data)
        while view:
            view = view[os.write(sys.stdout.fileno(), view) :]


class Attachment:
    """`detach`: go when the vCPUs run. `typed`: what comes in on stdin is for the guest."""

    def __init__(self, talk: Conversation, *, detach: bool, typed: bool) -> None:
        self._talk, self._detach = talk, detach
        self._keyboard = Keyboard() if typed and is_ours() else None
        self._typed = self._keyboard is not None or (typed and _is_piped())
        self.left = False  # the person asked to leave the VM running

    def follow(self) -> None:
        """Until the VM ends, or until we leave it running. Signals go to the keeper; the terminal is put back."""
        wakeup, signals = socket.socketpair()
        for end in (wakeup, signals):
            end.setblocking(False)
        before = {number: signal.signal(number, lambda *_: None) for number in STOPS}
        signal.set_wakeup_fd(signals.fileno())
        try:
            with raw() if self._keyboard else nullcontext(), suppress(Closed):
                self._listen(wakeup)
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            wakeup.close()
            signals.close()

    @property
    def _leaving(self) -> bool:
        return self.left or (self._detach and self._talk.running is not None)

    def _listen(self, wakeup: socket.socket) -> None:
        channel = self._talk.channel
        poll = select.poll()
        for source in (channel.fileno(), wakeup.fileno()):
            poll.register(source, select.POLLIN)
        if self._typed:
            poll.register(STDIN, select.POLLIN)
        while not self._leaving:
            ready = {fd for fd, _ in poll.poll()}
            if wakeup.fileno() in ready:
                for number in wakeup.recv(64):
                    self._talk.signalled(number)
            if STDIN in ready and not self._pass_on(os.read(STDIN, BITE)):
                poll.unregister(STDIN)
            if channel.fileno() in ready:
                while not self._leaving and self._talk.hear(wait=False):
                    pass
        self._talk.leave()

    def _pass_on(self, keys: bytes) -> bool:
        """False at the end of the input."""
        data = keys
        if self._keyboard is not None:
            data, orders = self._keyboard.take(keys)
            for order in orders:
                self._obey(order)
        if data:
            self._talk.channel.send_bytes(data)
        return bool(keys)

    def _obey(self, order: str) -> None:
        if order == "leave":
            self.left = True
        elif order == "stop":
            self._talk.stop("^] x", PATIENCE, force=False)
        else:
            print(HINT, end="", file=sys.stderr, flush=True)


def _is_piped() -> bool:
    """A pipe or a file on stdin is what the guest reads."""
    try:
        return not os.isatty(STDIN) and bool(os.fstat(STDIN))
    except OSError:  # somebody closed it
        return False
