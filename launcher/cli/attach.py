"""A keeper's conversation in; the guest's console on stdout, stdin to the guest, signals to the keeper, out."""

from __future__ import annotations

import _socket as socket
import gc
import os
import select
import sys
from contextlib import nullcontext

from launcher.cli.keyboard import HINT, STDIN, Keyboard, is_ours, raw
from launcher.cli.signals import STOPS
from launcher.record import record
from launcher.signals import signal
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.api.conversation import Conversation
    from launcher.cli.output import Output

STDOUT = 1
BITE = 4096
MOST_WAITING = 1 << 16  # bytes for a slow stdout; beyond them the keeper's ring waits for us
PATIENCE = 30.0  # seconds a guest has after the power button
# Whether we were the writer, and are: None is not known yet.
NOTICES: dict[tuple[bool | None, bool | None], str] = {
    (None, True): "[attached: ^] d leaves, ^] ? says more]\r\n",
    (None, False): "[attached to read, for another console writes: ^] d leaves]\r\n",
    (False, True): "\r\n[the other console has gone: you write now]\r\n",
}


@record
class Manner:
    """`typed`: what comes in on stdin is for the guest. `detach`: go when the vCPUs run, and what we wait for was said.

    `owner`: this is the `up` that started the VM; signals are for the VM. Else they end what we do here.
    """

    typed: bool
    detach: bool = False
    owner: bool = True


class Attachment:
    """`told` is called when the keeper has said something."""

    def __init__(
        self, talk: Conversation, output: Output, manner: Manner, told: Callable[[], None] = lambda: None
    ) -> None:
        self._talk, self._output, self._manner, self._told = talk, output, manner, told
        self._keyboard = Keyboard() if manner.typed and is_ours() else None
        self._typing = self._keyboard is not None or (manner.typed and _is_piped())  # stdin has not ended
        self._typed = b""  # what waits until the keeper has taken the piece before
        self._was_writer = None if manner.owner else talk.writer
        self.left = False  # the person asked to leave the VM running
        self.signal = 0  # that ended it

    def follow(self, let_come: Callable[[], None] = lambda: None) -> None:
        """Until the VM ends, or until we leave it running. The terminal is put back.

        `let_come` is called when signals are heard.
        """
        gc.freeze()
        gc.enable()
        wakeup, signals = socket.socketpair()
        for end in (wakeup, signals):
            end.setblocking(False)
        ours = [number for number in STOPS if signal.getsignal(number) != signal.SIG_IGN]  # nohup ignores SIGHUP
        before = {number: signal.signal(number, lambda *_: None) for number in ours}
        signal.set_wakeup_fd(signals.fileno())
        try:
            let_come()
            with raw() if self._keyboard else nullcontext():
                self._listen(wakeup)
        finally:
            signal.set_wakeup_fd(-1)
            over = self._manner.owner and self._talk.gone
            for number, handler in before.items():
                signal.signal(number, _nothing_to_stop if over else handler)
            wakeup.close()
            signals.close()

    @property
    def _leaving(self) -> bool:
        """Who started the VM does not go before it runs, nor by itself from one that is being stopped."""
        wait, owner = self._talk.awaited, self._manner.owner
        done = self._manner.detach and (wait is None or wait.heard) and not (owner and self._talk.stopping)
        return (self.left or done) and (self._talk.running is not None or not owner)

    def _listen(self, wakeup: socket.socket) -> None:
        if self._typing != self._manner.owner:  # the keeper takes it that an owner types, and nobody else
            self._talk.want_to_type(self._typing)
        while not self._leaving and not (self._talk.gone and not self._output.waiting):
            ready = self._wait(wakeup.fileno())
            if wakeup.fileno() in ready:
                for number in wakeup.recv(64):
                    self._signalled(number)
                if self._talk.gone:
                    return
            if STDIN in ready:
                self._take_keys(_read_keys())
            if STDOUT in ready:
                self._flush(ready[STDOUT])
            if self._talk.fileno() in ready:
                self._hear()
            elif STDOUT in ready or not self._output.waiting:
                self._output.present = True
            self._tick()
            self._pass_on()
        if not self._talk.gone:
            self._talk.leave()

    def _wait(self, wakeup: int) -> dict[int, int]:
        """Nobody is read whose words have no place to go."""
        interests = {wakeup: select.POLLIN}
        if not self._talk.gone:
            heard = select.POLLIN if len(self._output.waiting) < MOST_WAITING else 0
            interests[self._talk.fileno()] = heard
        if self._output.waiting or not self._manner.owner:  # who only reads goes with his reader
            interests[STDOUT] = select.POLLOUT if self._output.waiting else 0
        if self._typing and not self._typed and (self._keyboard or self._talk.writer):
            interests[STDIN] = select.POLLIN
        return self._talk.rest.poll(interests, self._talk.awaited.left() if self._talk.awaited else None)

    def _flush(self, events: int) -> None:
        if not self._output.waiting and events & (select.POLLERR | select.POLLHUP):
            raise BrokenPipeError
        self._output.flush()

    def _signalled(self, number: int) -> None:
        if self._manner.owner:
            self._talk.signalled(number)
        else:
            self.left, self.signal = True, number

    def _tick(self) -> None:
        """The keeper stops a VM that we started; from any other we go."""
        if self._talk.awaited is not None and self._talk.awaited.tick():
            self.left = True

    def _hear(self) -> None:
        while not self._leaving and len(self._output.waiting) < MOST_WAITING and self._talk.hear(wait=False):
            pass
        self._say_who_writes()
        self._told()

    def _say_who_writes(self) -> None:
        """An `up` is the writer from the start; it is told how to leave once there is something to leave."""
        if self._manner.owner and self._talk.running is None:
            return
        was, self._was_writer = self._was_writer, self._talk.writer
        if self._keyboard and (notice := NOTICES.get((was, self._was_writer))):
            print(notice, end="", file=sys.stderr, flush=True)

    def _take_keys(self, keys: bytes) -> None:
        """No keys: the end of the input, and others may write."""
        if not keys:
            self._typing = False
            self._talk.want_to_type(False)
        if self._keyboard is None:
            self._typed += keys
            return
        data, orders = self._keyboard.take(keys)
        self._typed += b"" if self._talk.writer is False else data
        for order in orders:
            self._obey(order)

    def _pass_on(self) -> None:
        if self._typed and self._talk.may_type and not self._talk.gone:
            typed, self._typed = self._typed, b""
            self._talk.type(typed)

    def _obey(self, order: str) -> None:
        if order == "leave":
            self.left = True
        elif order == "stop":
            self._talk.stop("^] x", PATIENCE, force=False)
        else:
            print(HINT, end="", file=sys.stderr, flush=True)


def _nothing_to_stop(*_: object) -> None:
    """A signal after the end."""


def _read_keys() -> bytes:
    try:
        return os.read(STDIN, BITE)
    except OSError:  # EIO: the terminal has gone
        return b""


def _is_piped() -> bool:
    """A pipe or a file on stdin is what the guest reads."""
    try:
        return not os.isatty(STDIN) and bool(os.fstat(STDIN))
    except OSError:  # somebody closed it
        return False
