"""Signals that stop a VM in; a descriptor to poll, and their numbers one after another, out."""

from __future__ import annotations

import _socket as socket
from collections.abc import Iterator
from contextlib import suppress

from launcher.kernel.waiting import STOPS
from launcher.signals import signal

MOST = 64  # signals in one turn


class Signals:
    """From now on they do nothing but be heard."""

    def __init__(self) -> None:
        self._reading, self._writing = socket.socketpair()
        for end in (self._reading, self._writing):
            end.setblocking(False)
        for number in STOPS:
            signal.signal(number, lambda *_: None)
        signal.set_wakeup_fd(self._writing.fileno())

    def fileno(self) -> int:
        return self._reading.fileno()

    def heard(self) -> Iterator[int]:
        with suppress(BlockingIOError):
            yield from self._reading.recv(MOST)
