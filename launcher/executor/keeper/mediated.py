"""The keeper has mediated devices made: a step in, the device there; what the journal kept in, the device gone.

Every function here can be called again after it was killed anywhere: it looks first.
"""

from __future__ import annotations

import errno

from launcher.codec import DecodeError, decode, written
from launcher.errors import Diagnostic, StepFailed
from launcher.executor.keeper.undo import NothingDone
from launcher.kernel.api import MdevKind, PciDrivers
from launcher.plan.steps import MakeMdev
from launcher.typed import Any

GONE = (errno.ENOENT, errno.ENODEV)
_NO_MORE = "there can be no more {1} of {2}: somebody has made some"
# Of the kernel, and of drivers that count themselves.
FIRST = {errno.EEXIST: "somebody has made {0}", errno.EUSERS: _NO_MORE, errno.ENOSPC: _NO_MORE}


def memory_of(step: MakeMdev) -> dict[str, Any]:
    """For the journal: the step says all that undoing it takes."""
    return written(step)


def read_memory(memory: dict[str, Any]) -> MakeMdev:
    """What the journal kept. OSError when it names something that no keeper of ours would write there."""
    try:
        return decode(MakeMdev, memory)
    except DecodeError as error:
        raise OSError(errno.EINVAL, f"the journal's entry is not one of ours: {error}") from None


def check(step: MakeMdev, drivers: PciDrivers) -> None:
    """StepFailed when it is there: it is somebody else's, and must not be removed later."""
    if (here := drivers.mdev(step.address)) is not None:
        fact = f"{step.address} is there already, as {here.type} of {here.parent}, and was not when it was planned"
        raise StepFailed(Diagnostic("E524", fact, help=("plan again",)))


def make(step: MakeMdev, drivers: PciDrivers) -> None:
    """NothingDone when somebody was first. OSError from the kernel."""
    try:
        drivers.make_mdev(_kind(step), step.address)
    except OSError as error:
        if error.errno not in FIRST:
            raise
        fact = FIRST[error.errno].format(step.address, step.type, step.parent)
        raise NothingDone(Diagnostic("E524", f"{fact} since it was planned", help=("plan again",))) from None


def remove(step: MakeMdev, drivers: PciDrivers) -> str:
    """What is there under its UUID and is another is not ours, and stays. One that is gone is done. Nothing is left to
    anybody else: empty."""
    try:
        if drivers.mdev(step.address) == _kind(step):
            drivers.remove_mdev(step.address)
    except OSError as error:
        if error.errno not in GONE or drivers.mdev(step.address) is not None:
            raise
    return ""


def describe(step: MakeMdev) -> str:
    return f"{step.address}, {step.type} of {step.parent}, removed"


def commands(step: MakeMdev) -> str:
    """What an administrator would type to remove it."""
    return f"echo 1 > /sys/bus/mdev/devices/{step.address}/remove"


def _kind(step: MakeMdev) -> MdevKind:
    return MdevKind(step.parent, step.type)
