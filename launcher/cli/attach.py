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
    from collections.abc import Callable

    from launcher.executor.conversation import Conversation

STDOUT = 1
BITE = 4096
MOST_WAITING = 1 << 16  # bytes for a slow stdout; beyond them the keeper's ring waits for us
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
PATIENCE = 30.0  # seconds a guest has after the power button


class Terminal:
    """Where the guest's words go, as fast as stdout takes them. `quiet`: nowhere, they stay in its log."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self.waiting = b""
        self.line_open = False  # the last byte was not a newline

    def __call__(self, data: bytes) -> None:
        if not self._quiet:
            self.waiting += data

    def flush(self) -> None:
        """Some of what waits: call it when stdout has room, which for a pipe is at least PIPE_BUF."""
        piece = self.waiting[: select.PIPE_BUF]
        if piece:
            self.line_open = not piece.endswith(b"\n")
            self.waiting = self.waiting[os.write(sys.stdout.fileno(), piece) :]


class Attachment:
    """`detach`: go when the vCPUs run. `typed`: what comes in on stdin is for the guest."""

    def __init__(self, talk: Conversation, terminal: Terminal, *, detach: bool, typed: bool) -> None:
        self._talk, self._terminal, self._detach = talk, terminal, detach
        self._keyboard = Keyboard() if typed and is_ours() else None
        self._typing = self._keyboard is not None or (typed and _is_piped())  # stdin has not ended
        self._typed = b""  # what waits until the keeper has taken the piece before
        self._gone = False  # the keeper has nothing more to say
        self.left = False  # the person asked to leave the VM running

    def follow(self) -> None:
        """Until the VM ends, or until we leave it running. Signals go to the keeper; the terminal is put back."""
        wakeup, signals = socket.socketpair()
        for end in (wakeup, signals):
            end.setblocking(False)
        ours = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]  # nohup ignores SIGHUP
        before = {number: signal.signal(number, lambda *_: None) for number in ours}
        signal.set_wakeup_fd(signals.fileno())
        try:
            with raw() if self._keyboard else nullcontext():
                self._listen(wakeup)
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in before.items():
                signal.signal(number, handler)
            wakeup.close()
            signals.close()

    @property
    def _leaving(self) -> bool:
        return (self.left or self._detach) and self._talk.running is not None

    def _listen(self, wakeup: socket.socket) -> None:
        while not self._leaving and not (self._gone and not self._terminal.waiting):
            ready = self._wait(wakeup.fileno())
            if wakeup.fileno() in ready:
                for number in wakeup.recv(64):
                    self._tell(self._talk.signalled, number)
                if self._gone:
                    return
            if STDIN in ready:
                self._take_keys(os.read(STDIN, BITE))
            if STDOUT in ready:
                self._terminal.flush()
            if self._talk.channel.fileno() in ready:
                self._hear()
            self._pass_on()
        if not self._gone:
            self._tell(self._talk.leave)

    def _wait(self, wakeup: int) -> set[int]:
        """Nobody is read whose words have no place to go."""
        interests = {wakeup: select.POLLIN}
        if not self._gone:
            heard = select.POLLIN if len(self._terminal.waiting) < MOST_WAITING else 0
            interests[self._talk.channel.fileno()] = heard
        if self._terminal.waiting:
            interests[STDOUT] = select.POLLOUT
        if self._typing and not self._typed:
            interests[STDIN] = select.POLLIN
        poll = select.poll()
        for fd, events in interests.items():
            poll.register(fd, events)
        return {fd for fd, _ in poll.poll()}

    def _hear(self) -> None:
        try:
            while not self._leaving and len(self._terminal.waiting) < MOST_WAITING and self._talk.hear(wait=False):
                pass
        except Closed:
            self._gone = True

    def _take_keys(self, keys: bytes) -> None:
        """No keys: the end of the input."""
        self._typing = bool(keys)
        if self._keyboard is None:
            self._typed += keys
            return
        data, orders = self._keyboard.take(keys)
        self._typed += data
        for order in orders:
            self._obey(order)

    def _pass_on(self) -> None:
        if self._typed and self._talk.may_type and not self._gone:
            typed, self._typed = self._typed, b""
            self._tell(self._talk.type, typed)

    def _tell(self, say: Callable[..., None], *words: object) -> None:
        """To a keeper that has gone there is nothing to tell; what it said before is still to be heard."""
        with suppress(Closed):
            say(*words)

    def _obey(self, order: str) -> None:
        if order == "leave":
            self.left = True
        elif order == "stop":
            self._tell(lambda: self._talk.stop("^] x", PATIENCE, force=False))
        else:
            print(HINT, end="", file=sys.stderr, flush=True)


def _is_piped() -> bool:
    """A pipe or a file on stdin is what the guest reads."""
    try:
        return not os.isatty(STDIN) and bool(os.fstat(STDIN))
    except OSError:  # somebody closed it
        return False
