"""A deed in, done in a process of its own; its answer, or how that process ended, out.

What it imports and reads goes with that process: the one that stays beside a VM, for as long as that runs, stays small.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from launcher.errors import Diagnostic, StepFailed
from launcher.refusals import TASKS

if TYPE_CHECKING:
    from collections.abc import Callable

    ExitCodeOf = Callable[[Callable[[], int]], int]

MOST = 1 << 12  # bytes of an answer


class Ended(NamedTuple):
    """Without an answer. `how`: of one that a signal ended, in words; else it has said itself why."""

    code: int
    how: str = ""


def apart(deed: Callable[[], str], exit_code_of: ExitCodeOf, meanwhile: Callable[[], None]) -> str | Ended:
    """`exit_code_of` does what it is given and says, as it would here, how that failed. `meanwhile` is done here.

    Call it before there are threads.
    """
    _flush()  # or both would write it
    reading, writing = os.pipe()
    parent = os.getpid()
    try:
        pid = _fork(writing, reading)
    except OSError as error:
        message = f"failed to fork the process that plans: {error.strerror}"
        raise StepFailed(Diagnostic("E501", message, help=(TASKS,))) from None
    if pid == 0:
        _do(deed, exit_code_of, writing, parent)
    try:
        meanwhile()
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


def _do(deed: Callable[[], str], exit_code_of: ExitCodeOf, writing: int, parent: int) -> NoReturn:
    """Whatever happens here, it does not go up the stack that was the parent's."""
    code = 128 + signal.SIGINT
    try:
        code = exit_code_of(lambda: _answer(deed, writing, parent))
        _flush()
    finally:
        os._exit(code)


def _answer(deed: Callable[[], str], writing: int, parent: int) -> int:
    from launcher.kernel.handed import pass_on
    from launcher.kernel.parent import end_with

    end_with(parent)
    pass_on()
    answer = deed()
    _flush()  # what it has to say comes before what follows from it
    try:
        os.write(writing, answer.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, "pipe") from None
    return 0


def _hear(reading: int, pid: int) -> str | Ended:
    answer = os.read(reading, MOST)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return answer.decode() if answer else _ended(status)


def _ended(status: int) -> Ended:
    if status >= 0:
        return Ended(status)
    from launcher.executor.ending import manner_of_death

    return Ended(128 - status, manner_of_death(status))


def _flush() -> None:
    """Neither has to be there: whoever closed them is told by `main`."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
