"""What a process of its own is to do in; the process, and a pipe that it writes to, out."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from launcher.row import NamedTuple
from launcher.signals import signal
from launcher.typed import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Child(NamedTuple):
    """`reading`: our end of the pipe, to be closed. Who does not reap the process kills it."""

    pid: int
    reading: int

    def reap(self) -> int:
        """How it ended, as os.waitstatus_to_exitcode says it."""
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


def fork(main: Callable[[int], int], others: Iterable[Child] = ()) -> Child:
    """`main` gets the other end, and gives the exit status. OSError: there is no process, or no pipe, to be had.

    `others` are those that the new one has nothing to do with. Call it before there are threads.
    """
    flush()  # or both would write it
    reading, writing = os.pipe()
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        raise
    if pid == 0:
        for descriptor in (reading, *(one.reading for one in others)):
            os.close(descriptor)
        _live(main, writing)
    os.close(writing)
    return Child(pid, reading)


def _live(main: Callable[[int], int], writing: int) -> NoReturn:
    """Whatever happens here, it does not go up the stack that was the parent's."""
    status = 128 + signal.SIGINT
    try:
        status = main(writing)
        flush()
    finally:
        os._exit(status)


def flush() -> None:
    """Neither has to be there: whoever closed them is told by `main`."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
