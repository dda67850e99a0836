"""A deed in, done by a thread of its own; OSError with the call's name when the host has none left."""

from __future__ import annotations

import errno
import os
from _thread import allocate_lock, start_new_thread
from collections.abc import Callable

PATIENCE = 10.0  # seconds for a thread to come as far as its first line


class Moment:
    """It has come, or it is waited for, by one thread: `threading` takes as long to import as all rooms of threads."""

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def come(self) -> None:
        """Once."""
        self._lock.release()

    def wait(self, seconds: float = -1) -> bool:
        """Whether it has come; of a negative number it will have."""
        come = self._lock.acquire(timeout=seconds)
        if come:
            self._lock.release()
        return come


class Running:
    """Python's own Thread.start waits for ever for a thread that found no memory for its first frame."""

    def __init__(self, deed: Callable[[], None]) -> None:
        self._deed = deed
        self._gate, self._begun, self._over = allocate_lock(), Moment(), Moment()
        self._given_up = False

    def start(self) -> None:
        """The limits: RLIMIT_NPROC, pids.max of a cgroup, memory for the stack."""
        try:
            start_new_thread(self._run, ())
        except RuntimeError:
            raise _refusal() from None
        if not self._begun.wait(PATIENCE):
            with self._gate:
                self._given_up = not self._begun.wait(0)
            if self._given_up:
                raise _refusal()

    def is_alive(self) -> bool:
        return not self._over.wait(0)

    def join(self, seconds: float = -1) -> None:
        self._over.wait(seconds)

    def _run(self) -> None:
        try:
            with self._gate:
                self._begun.come()
                if self._given_up:  # too late: what it would work on may be gone
                    return
            self._deed()
        finally:
            self._over.come()


def start(deed: Callable[[], None]) -> Running:
    made = Running(deed)
    made.start()
    return made


def _refusal() -> OSError:
    return OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), "pthread_create")
