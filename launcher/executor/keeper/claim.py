"""A Plan in; its state folder, claimed, out, or why not. Nothing is changed when it is refused."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from launcher.errors import Diagnostic, LauncherError, NotPermitted, Refused
from launcher.executor.keeper.changing import left_in
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
from launcher.vms.folder import NameTaken, StateFolder
from launcher.vms.groups import LOCKS, GroupTaken, claimant, lock_groups
from launcher.vms.notices import Begun, NameIsTaken, NotBegun

ONCE: tuple[type[Step], ...] = (KeepState, CreateVm, GiveMemory, LoadKernel, DescribeMachine, RunVcpus)


def claim(plan: Plan) -> tuple[StateFolder, Begun] | tuple[None, NameIsTaken | NotBegun]:
    """The folder, or None, and what is told to the `up` that wants it."""
    try:
        return _claim(plan), Begun()
    except NameTaken as error:
        return None, NameIsTaken(str(error.filename))
    except LauncherError as error:
        return None, NotBegun(error.diagnostics, error.exit_code)


def check_whole(plan: Plan) -> None:
    """A saved plan may have been edited: Refused when its steps do not fit together."""
    if [type(step) for step in plan.steps if type(step) in ONCE] != list(ONCE):
        needed = ", ".join(kind.op for kind in ONCE)
        raise Refused(Diagnostic("E515", f"the plan is not whole: it needs each of {needed} once, in this order"))
    if not _fits_together(plan.steps):
        raise Refused(Diagnostic("E515", "the plan is not whole: it uses memory or groups that no step of it takes"))


def _claim(plan: Plan) -> StateFolder:
    check_whole(plan)
    folder = claim_folder(Path(next(one.folder for one in plan.steps if isinstance(one, KeepState))))
    try:
        _check_journal(folder)
        folder.groups = claim_groups(groups_of(plan), folder)
    except BaseException:
        folder.leave()
        raise
    return folder


def _check_journal(folder: StateFolder) -> None:
    if left_in(folder):
        name = folder.path.name
        help_ = (f"run `vmlaunch down {name}` first",)
        raise Refused(Diagnostic("E513", f"{name} ended without putting the host back", help=help_))


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


def claim_groups(numbers: Collection[int], folder: StateFolder) -> tuple[int, ...]:
    """Descriptors that hold their locks. Refused, and none is held: another VM of ours has one."""
    try:
        return lock_groups(numbers, folder.path.parent)
    except GroupTaken as error:
        raise group_taken(error.number, claimant((error.number,), folder.path)) from None
    except OSError as error:
        fact = f"failed to lock the IOMMU groups: {error.strerror}"
        raise Refused(Diagnostic("E508", fact, help=(f"the locks are in {folder.path.parent / LOCKS}",))) from None


def group_taken(number: int, found: tuple[int, str] | None) -> Refused:
    whose, help_ = "a VM that is only starting or ending", "try again"
    if found is not None:
        whose, help_ = f"the VM {found[1]}, which is up", f"stop it with `vmlaunch down {found[1]}`"
    return Refused(Diagnostic("E529", f"IOMMU group {number} is taken by {whose}", help=(help_,)))


def claim_folder(path: Path) -> StateFolder:
    """NameTaken when a VM has it; refused with a code when it cannot be made or is not safe."""
    try:
        return StateFolder.claim(path)
    except NameTaken:
        raise
    except OSError as error:
        kind = NotPermitted if isinstance(error, PermissionError) else Refused
        found = Diagnostic("E508", f"failed to make {path}: {error.strerror}", help=way_out(error))
        raise kind(found) from None
