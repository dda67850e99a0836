"""A Plan whose keeper steps are done in; what the keeper needs until the host is as it was kept, the rest given up."""

from __future__ import annotations

import traceback

from launcher.kernel.api import GivenUp, Kernel
from launcher.plan.plan import Plan
from launcher.plan.steps import BindDriver
from launcher.vms.folder import StateFolder


def give_up(plan: Plan, kernel: Kernel, folder: StateFolder, runner: int, pidfd: int) -> GivenUp:
    """For good. What cannot be put back with the rest stays in the journal, for `down`."""
    drivers = [(one.address, one.driver) for one in plan.steps if isinstance(one, BindDriver)]
    return kernel.give_up(folder.path, drivers, runner, pidfd)


def rehearse() -> None:
    """Python imports what it words a traceback with when it words the first one; neither keeper nor runner can then."""
    try:
        raise LookupError("ä")
    except LookupError:
        traceback.format_exc()
