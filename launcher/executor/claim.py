"""A Plan in; its state folder, claimed, out, or why not. Nothing is changed when it is refused."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from launcher.errors import Diagnostic, LauncherError, NotPermitted, Refused
from launcher.executor.changing import left_of
from launcher.plan.plan import Plan
from launcher.plan.steps import (
    CreateVm,
    DescribeMachine,
    GiveMemory,
    KeepState,
    LoadKernel,
    MapDma,
    OpenDevices,
    OpenGroups,
    RunVcpus,
    Step,
    TakeMemory,
)
from launcher.refusals import way_out
from launcher.vms.folder import JOURNAL, NameTaken, StateFolder
from launcher.vms.groups import GROUPS, GroupTaken, claimant, lock_groups

ONCE: tuple[type[Step], ...] = (KeepState, CreateVm, GiveMemory, LoadKernel, DescribeMachine, RunVcpus)


def claim(plan: Plan, groups: Path = GROUPS) -> tuple[StateFolder | None, dict[str, Any]]:
    """The folder and {"begun"}; or None and {"refused": [diagnostics], "exit_code"}, or {"up": the taken folder}."""
    try:
        return _claim(plan, groups), {"begun": True}
    except NameTaken as error:
        return None, {"up": str(error.filename)}
    except LauncherError as error:
        return None, {"refused": [one.as_json() for one in error.diagnostics], "exit_code": error.exit_code}


def check_whole(plan: Plan) -> None:
    """A saved plan may have been edited: Refused when its steps do not fit together."""
    if [type(step) for step in plan.steps if type(step) in ONCE] != list(ONCE):
        needed = ", ".join(kind.op for kind in ONCE)
        raise Refused(Diagnostic("E515", f"the plan is not whole: it needs each of {needed} once, in this order"))
    if not _fits_together(plan.steps):
        raise Refused(Diagnostic("E515", "the plan is not whole: it uses memory or groups that no step of it takes"))


def _claim(plan: Plan, groups: Path) -> StateFolder:
    check_whole(plan)
    path = Path(next(one.folder for one in plan.steps if isinstance(one, KeepState)))
    folder = _make(path)
    try:
        _check(plan, path)
        folder.groups = lock_groups(groups_of(plan), groups)
    except BaseException as error:
        with suppress(OSError):
            path.rmdir()  # if it is new
        folder.close()
        if isinstance(error, GroupTaken):
            raise group_taken(error.number, claimant((error.number,), path)) from None
        raise
    return folder


def _check(plan: Plan, path: Path) -> None:
    if left_of(path / JOURNAL):
        message = f"{plan.name} ended without putting the host back"
        raise Refused(Diagnostic("E513", message, help=(f"run `vmlaunch down {plan.name}` first",)))


def _fits_together(steps: tuple[Step, ...]) -> bool:
    """What one step uses another has taken; a plan that somebody edited may lack it."""
    banks = {step.bank for step in steps if isinstance(step, TakeMemory)}
    groups = {number for step in steps if isinstance(step, OpenGroups) for number in step.groups}
    used = {one.bank for step in steps if isinstance(step, (GiveMemory, MapDma)) for one in step.ranges}
    opened = {one.group for step in steps if isinstance(step, OpenDevices) for one in step.devices}
    return used <= banks and opened <= groups


def groups_of(plan: Plan) -> set[int]:
    return {number for step in plan.steps if isinstance(step, OpenGroups) for number in step.groups}


def check_groups(plan: Plan) -> None:
    """Before a plan is refused for what another VM of ours does with its devices, or carried out."""
    own = next((Path(one.folder) for one in plan.steps if isinstance(one, KeepState)), None)
    numbers = groups_of(plan)
    if own is not None and numbers and (found := claimant(numbers, own)):
        raise group_taken(found[0], found)


def group_taken(number: int, found: tuple[int, str] | None) -> Refused:
    whose, help_ = "a VM of another user", "`ps -ef` shows the processes of other users"
    if found is not None:
        whose, help_ = f"the VM {found[1]}, which is up", f"stop it with `vmlaunch down {found[1]}`"
    return Refused(Diagnostic("E529", f"IOMMU group {number} is taken by {whose}", help=(help_,)))


def _make(path: Path) -> StateFolder:
    try:
        return StateFolder.claim(path)
    except NameTaken:
        raise
    except OSError as error:
        with suppress(OSError):
            path.rmdir()  # made, and not to be opened or locked
        kind = NotPermitted if isinstance(error, PermissionError) else Refused
        found = Diagnostic("E508", f"failed to make {path}: {error.strerror}", help=way_out(error))
        raise kind(found) from None
