"""A deed in, done in a process of its own; its answer, or how that process ended, out.

What it imports and reads goes with that process: the one that stays beside a VM, for as long as that runs, stays small.
"""

from __future__ import annotations

import os

from launcher.api.child import Child, flush, fork
from launcher.errors import Diagnostic, StepFailed
from launcher.refusals import TASKS, WAYS
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    ExitCodeOf = Callable[[Callable[[], int]], int]

MOST = 1 << 12  # bytes of an answer


class Answer(NamedTuple):
    """`child` is to be reaped: it ends by now, and to free what it had takes the kernel some milliseconds."""

    text: str
    child: Child


class Ended(NamedTuple):
    """Without an answer. `how`: of one that a signal ended, in words; else it has said itself why."""

    code: int
    how: str = ""


def apart(deed: Callable[[], str], exit_code_of: ExitCodeOf, meanwhile: Callable[[], None]) -> Answer | Ended:
    """`exit_code_of` does what it is given and says, as it would here, how that failed. `meanwhile` is done here; it is
    to be short, for the process may wait for our processor.

    Call it before there are threads.
    """
    parent = os.getpid()
    try:
        child = fork(lambda writing: exit_code_of(lambda: _answer(deed, writing, parent)))
    except OSError as error:
        message = f"failed to fork the process that plans: {error.strerror}"
        raise StepFailed(Diagnostic("E501", message, help=(WAYS.get(error.errno or 0, TASKS),))) from None
    try:
        meanwhile()
        return _hear(child)
    except BaseException:  # we are interrupted: nobody waits for its answer any more
        child.kill()
        raise
    finally:
        os.close(child.reading)


def _answer(deed: Callable[[], str], writing: int, parent: int) -> int:
    from launcher.kernel.handed import pass_on
    from launcher.kernel.parent import end_with

    end_with(parent)
    pass_on()
    answer = deed()
    flush()  # what it has to say comes before what follows from it
    try:
        os.write(writing, answer.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, "pipe") from None
    return 0


def _hear(child: Child) -> Answer | Ended:
    answer = os.read(child.reading, MOST)
    return Answer(answer.decode(), child) if answer else _ended(child.reap())


def _ended(status: int) -> Ended:
    if status >= 0:
        return Ended(status)
    from launcher.executor.ending import manner_of_death

    return Ended(128 - status, manner_of_death(status))
