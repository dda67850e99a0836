"""A plan, or the diagnostics of one, in; the exit code that they come to, or the error that refuses it, out."""

from __future__ import annotations

from launcher.errors import NotPermitted, Refused
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.errors import Diagnostic
    from launcher.plan.plan import Plan

# What may be because of who asks and not of what is asked.
DENIALS = {"E224", "E228", "E402", "E411", "E424", "E601", "E621", "E640", "E643", "E644", "E652", "E655"}


def exit_code(found: tuple[Diagnostic, ...], strict: bool) -> int:
    """Warnings do not stop it, unless `strict`."""
    errors = {one.code for one in found if one.severity == "error"}
    if errors and errors <= DENIALS:
        return NotPermitted.exit_code
    return 1 if errors or (strict and found) else 0


def refuse(found: tuple[Diagnostic, ...], *, strict: bool) -> None:
    if code := exit_code(found, strict):
        raise (NotPermitted if code == NotPermitted.exit_code else Refused)(*found)


def check_unclaimed(plan: Plan) -> None:
    """Before it is told that somebody has its devices open: that it is a VM of ours says more."""
    if plan.devices:
        from launcher.executor.keeper import claim

        claim.check_unclaimed(plan)
