"""A Plan whose host changes are made in; all rights given up that the keeper does not need to undo them, out."""

from __future__ import annotations

from launcher.executor.keeper.network import change_of
from launcher.executor.process import trace_of
from launcher.kernel.api import GivenUp, Kernel
from launcher.plan.plan import Plan
from launcher.plan.steps import BindDriver, MakeMdev, SetVirtualFunction
from launcher.vms.folder import StateFolder


def give_up(plan: Plan, kernel: Kernel, folder: StateFolder, runner: int, pidfd: int) -> GivenUp:
    """The keeper cannot take them back. What it cannot undo with those it has stays in the journal, for `down`."""
    bound = [(one.address, one.driver) for one in plan.steps if isinstance(one, BindDriver)]
    made = [(one.address, None) for one in plan.steps if isinstance(one, MakeMdev)]
    changes = [change_of(one).undone for one in plan.steps if isinstance(one, SetVirtualFunction)]
    return kernel.give_up(folder.path, [*bound, *made], changes, runner, pidfd)


def rehearse() -> None:
    """Word a traceback once: Python 3.13 imports what it needs for that, and a confined keeper or runner cannot."""
    try:
        raise LookupError("ä")
    except LookupError as error:
        trace_of(error)
