"""A deed in, done in a process of its own; its answer, or the exit code that it ended with, out.

What it imports and reads goes with that process: the one that stays beside a VM, for as long as that runs, stays small.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

from launcher.cli.outcome import INTERRUPTED, exit_code_of
from launcher.errors import Diagnostic, StepFailed
from launcher.refusals import TASKS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

MOST = 1 << 12  # bytes of an answer


def apart(deed: Callable[[], str], options: argparse.Namespace) -> str | int:
    """What it prints and how it fails is as if it had been done here. Call it before there are threads."""
    _flush()  # or both would write it
    reading, writing = os.pipe()
    parent = os.getpid()
    try:
        pid = _fork(writing, reading)
    except OSError as error:
        message = f"failed to fork the process that plans: {error.strerror}"
        raise StepFailed(Diagnostic("E501", message, help=(TASKS,))) from None
    if pid == 0:
        _do(deed, options, writing, parent)
    try:
        return _hear(reading, pid)
    except BaseException:  # we are interrupted: nobody waits for its answer any more
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        raise
    finally:
        os.close(reading)


def _fork(ours: int, its: int) -> int:
    """Each of both keeps its end of the pipe."""
    try:
        pid = os.fork()
    except OSError:
        os.close(its)
        os.close(ours)
        raise
    os.close(its if pid == 0 else ours)
    return pid


def _do(deed: Callable[[], str], options: argparse.Namespace, writing: int, parent: int) -> NoReturn:
    """Whatever happens here, it does not go up the stack that was the parent's."""
    code = INTERRUPTED
    try:
        code = exit_code_of(lambda: _answer(deed, writing, parent), options)
        _flush()
    finally:
        os._exit(code)


def _answer(deed: Callable[[], str], writing: int, parent: int) -> int:
    from launcher.kernel.parent import end_with

    end_with(parent)
    answer = deed()
    _flush()  # what it has to say comes before what follows from it
    try:
        os.write(writing, answer.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, "pipe") from None
    return 0


def _hear(reading: int, pid: int) -> str | int:
    answer = os.read(reading, MOST)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return answer.decode() if answer else _ended(status)


def _ended(status: int) -> int:
    if status >= 0:
        return status
    from launcher.executor.ending import manner_of_death

    print(f"vmlaunch: the process that planned {manner_of_death(status)}; nothing was changed", file=sys.stderr)
    return 128 - status


def _flush() -> None:
    """Neither has to be there: whoever closed them is told by `main`."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
