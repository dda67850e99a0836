"""A process that was forked: its limits raised, its `main` run, and why it failed told."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import StringIO

from launcher.errors import BUG, StepFailed
from launcher.refusals import in_words, refusal_of
from launcher.typed import NoReturn
from launcher.vms.channel import Channel, Closed
from launcher.vms.words import Bug, Failed, say

# Descriptors for eventfds, locked memory for DMA, threads for vCPUs, guest memory.
RAISED = (
    *(resource.RLIMIT_NOFILE, resource.RLIMIT_MEMLOCK, resource.RLIMIT_NPROC, resource.RLIMIT_AS),
    resource.RLIMIT_DATA,
)
_COLOURS = "PYTHON_COLORS"  # Python's own: it is asked before FORCE_COLOR


def detach() -> None:
    """Leave the terminal's session and its streams: nothing a terminal does reaches this process any more."""
    os.setsid()
    os.chdir("/")  # a VM keeps no file system from being unmounted, but for those of its kernel and initrd
    os.umask(0o077)
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def raise_limits() -> None:
    """As far as an administrator lets us."""
    for what in RAISED:
        hard = resource.getrlimit(what)[1]
        with suppress(ValueError, OSError):  # a hard limit above fs.nr_open
            resource.setrlimit(what, (hard, hard))


def end_process(up: Channel, main: Callable[[], int]) -> NoReturn:
    """Run `main` and leave with its status. What the host refused it goes up in words, a bug with its traceback."""
    status = BUG
    try:
        status = main()
    except BaseException as error:
        refused = refusal_of(error)
        status = BUG if refused is None else StepFailed.exit_code
        with suppress(Closed, OSError):
            up.send(say(Bug(trace_of(error)) if refused is None else failure(refused)))
    finally:
        os._exit(status)


def trace_of(error: BaseException) -> str:
    """As Python itself would print it: in C, where `traceback` takes a tenth of a keeper's start to import."""
    before, sys.stderr = sys.stderr, StringIO()
    try:
        with _colourless():
            sys.__excepthook__(type(error), error, error.__traceback__)
        return sys.stderr.getvalue()
    finally:
        sys.stderr = before


@contextmanager
def _colourless() -> Iterator[None]:
    """Python 3.13 paints what is no terminal, too, where FORCE_COLOR is set."""
    before = os.environ.get(_COLOURS)
    os.environ[_COLOURS] = "0"
    try:
        yield
    finally:
        del os.environ[_COLOURS]
        if before is not None:
            os.environ[_COLOURS] = before


def failure(refused: OSError) -> Failed:
    """What the process that started this one is told."""
    return Failed((in_words("keep the VM running", refused),))
