"""The plan of a VM that is up, and another of its name, in; refused with the difference, if there is one."""

from __future__ import annotations

from launcher.errors import Diagnostic, Refused
from launcher.report.plan_diff import differences
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.plan.plan import Plan


def check_same(running: Plan, plan: Plan) -> None:
    """Facts move while it runs, and versions lay out what is no RAM in their own ways: what it does is in the rest."""
    different = [one for one in differences(running, plan) if one.part != "assumes"]
    if any(one.part != "memory" for one in different):
        evidence = tuple(map(str, different))
        help_ = (f"stop it with `vmlaunch down {plan.name}`",)
        raise Refused(Diagnostic("E507", f"{plan.name} is up with another plan", evidence=evidence, help=help_))
