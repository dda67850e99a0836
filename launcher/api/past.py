"""The state folder of a VM that is not up in; its last report out, or what can still be said of one that was lost."""

from __future__ import annotations

from launcher.codec import DecodeError
from launcher.errors import Diagnostic, HostNotRestored, NoSuchVm, Refused, StepFailed
from launcher.executor.keeper.changing import commands, left_of
from launcher.executor.keeper.records import Records
from launcher.plan.codec import plan_from_json, report_from_json
from launcher.plan.outcome import End, Report
from launcher.record import replace
from launcher.typed import TYPE_CHECKING, Any
from launcher.vms.folder_state import JOURNAL, LOG, PLAN, REPORT, STATE
from launcher.vms.looking import read_json

if TYPE_CHECKING:
    from pathlib import Path


def past_report(folder: Path) -> Report:
    """NoSuchVm: there is nothing left of it. What another version of vmlaunch wrote is refused."""
    report, plan = read_json(folder / REPORT), read_json(folder / PLAN)
    if report is None and plan is None:
        help_ = (f"`vmlaunch down {folder.name}` clears its folder",)
        raise NoSuchVm(Diagnostic("E520", f"{folder.name} has left nothing to look at", help=help_))
    try:
        return _of_the_lost(folder, plan) if report is None else report_from_json(report)
    except DecodeError as error:
        raise Refused(Diagnostic("E515", f"failed to read what {folder.name} left: {error}")) from None


def _of_the_lost(folder: Path, plan: Any) -> Report:
    """Its keeper died without a word: the plan, the state and the journal are what there is."""
    state = read_json(folder / STATE)
    known = state if isinstance(state, dict) else {}
    left = tuple(commands(entry) for entry in left_of(folder / JOURNAL))
    code = HostNotRestored.exit_code if left else StepFailed.exit_code
    help_ = (f"`vmlaunch down {folder.name}` clears up what it left",)
    return replace(
        Records(plan_from_json(plan), str(folder / LOG)).report(),
        phase="lost",
        pid=known.get("keeper"),
        started=known.get("started"),
        seconds=None,
        host_changes=(),
        counts=None,
        reboots=None,
        failed_undos=None,
        end=End("lost", "its keeper was lost", code),
        left_behind=left,
        diagnostics=(Diagnostic("E510", f"the keeper of {folder.name} was lost", help=help_),),
    )
