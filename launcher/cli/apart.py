"""A deed in, done in a process of its own; its answer, or the exit code that it ended with, out.

What it imports and reads goes with that process: the one that stays beside a VM, for as long as that runs, stays small.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from launcher.cli import exit_code_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

MOST = 1 << 12  # bytes of an answer


def apart(deed: Callable[[], str], options: argparse.Namespace) -> str | int:
    """What it prints and how it fails is as if it had been done here. Call it before there are threads."""
    _flush()  # or both would write it
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        code = exit_code_of(lambda: _answer(deed, writing), options)
        _flush()
        os._exit(code)
    os.close(writing)
    try:
        answer = os.read(reading, MOST)
    finally:
        os.close(reading)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return answer.decode() if answer else _ended(status)


def _answer(deed: Callable[[], str], writing: int) -> int:
    answer = deed()
    _flush()  # what it has to say comes before what follows from it
    os.write(writing, answer.encode())
    return 0


def _flush() -> None:
    """Neither has to be there to the end: whoever closed them is told by `main`."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()


def _ended(status: int) -> int:
    if status >= 0:
        return status
    from launcher.executor.ending import manner_of_death

    print(f"vmlaunch: the process that planned {manner_of_death(status)}; nothing was changed", file=sys.stderr)
    return 128 - status
