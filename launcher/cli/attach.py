"""A keeper's conversation in; the guest's console on stdout, stdin to the guest, signals to the keeper, out."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from launcher.vms.channel import Closed

if TYPE_CHECKING:
    from launcher.executor.conversation import Conversation

STDIN = 0
BITE = 4096
STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


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


def follow(talk: Conversation, *, detach: bool, typed: bool) -> None:
    """Until the VM ends, or with `detach` until its vCPUs run. `typed`: what comes in on stdin is for the guest."""
    wakeup, signals = socket.socketpair()
    for end in (wakeup, signals):
        end.setblocking(False)
    before = {number: signal.signal(number, lambda *_: None) for number in STOPS}
    signal.set_wakeup_fd(signals.fileno())
    try:
        with suppress(Closed):
            _listen(talk, wakeup, detach=detach, typed=typed)
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        wakeup.close()
        signals.close()


def _listen(talk: Conversation, wakeup: socket.socket, *, detach: bool, typed: bool) -> None:
    poll = select.poll()
    for source in (talk.channel.fileno(), wakeup.fileno()):
        poll.register(source, select.POLLIN)
    if typed and _has_input():
        poll.register(STDIN, select.POLLIN)
    while not (detach and talk.running):
        ready = {fd for fd, _ in poll.poll()}
        if wakeup.fileno() in ready:
            for number in wakeup.recv(64):
                talk.stop(number, force=number == signal.SIGINT)
        if STDIN in ready:
            data = os.read(STDIN, BITE)
            talk.channel.send_bytes(data) if data else poll.unregister(STDIN)
        if talk.channel.fileno() in ready:
            while talk.hear(wait=False) and not (detach and talk.running):
                pass
    talk.leave()


def _has_input() -> bool:
    """A pipe or a file on stdin is what the guest reads."""
    try:
        return not os.isatty(STDIN) and bool(os.fstat(STDIN))
    except OSError:  # somebody closed it
        return False
