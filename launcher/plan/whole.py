"""A Plan in; Refused when its steps do not fit together, as may be in one that somebody edited. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic, Refused
from launcher.plan.plan import Plan
from launcher.plan.steps import ONCE, GiveMemory, MapDma, OpenDevices, Step, TakeMemory, groups_opened


def check_whole(plan: Plan) -> None:
    if [type(step) for step in plan.steps if type(step) in ONCE] != list(ONCE):
        needed = ", ".join(kind.op for kind in ONCE)
        raise Refused(Diagnostic("E515", f"the plan is not whole: it needs each of {needed} once, in this order"))
    if not _fits_together(plan.steps):
        raise Refused(Diagnostic("E515", "the plan is not whole: it uses memory or groups that no step of it takes"))


def _fits_together(steps: tuple[Step, ...]) -> bool:
    """What one step uses, another one has taken."""
    banks = {step.bank for step in steps if isinstance(step, TakeMemory)}
    groups = groups_opened(steps)
    used = {one.bank for step in steps if isinstance(step, (GiveMemory, MapDma)) for one in step.ranges}
    opened = {one.group for step in steps if isinstance(step, OpenDevices) for one in step.devices}
    return used <= banks and opened <= groups
