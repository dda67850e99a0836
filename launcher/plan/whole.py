"""A Plan in; Refused when its steps do not fit together, as may be in one that somebody edited. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic, Refused
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.plan.steps import (
    ONCE,
    BindDriver,
    CreateVm,
    DescribeMachine,
    GiveMemory,
    KeepState,
    LoadInitrd,
    LoadKernel,
    LoadModules,
    MapDma,
    OpenDevices,
    OpenGroups,
    RunVcpus,
    SetVirtualFunction,
    StaysBound,
    TakeMemory,
    groups_opened,
)
from launcher.plan.virtio import (
    AddVirtio,
    ConnectEngine,
    MakeTap,
    OpenTap,
    StartDiskEngine,
    StartShareEngine,
    StartUserNetwork,
)

# Steps of the kinds of one row stand in any order among themselves, rows one after the other.
ORDER: tuple[tuple[type[Step], ...], ...] = (
    (KeepState,),
    (LoadModules,),
    (BindDriver, StaysBound),
    (SetVirtualFunction,),
    (MakeTap, OpenTap, StartDiskEngine, StartShareEngine, StartUserNetwork, ConnectEngine),
    (TakeMemory,),
    (OpenGroups,),
    (MapDma,),
    (CreateVm,),
    (GiveMemory,),
    (OpenDevices,),
    (AddVirtio,),
    (LoadKernel,),
    (LoadInitrd,),
    (DescribeMachine,),
    (RunVcpus,),
)


def check_whole(plan: Plan) -> None:
    if [type(step) for step in plan.steps if type(step) in ONCE] != list(ONCE):
        needed = ", ".join(kind.op for kind in ONCE)
        raise Refused(Diagnostic("E515", f"the plan is not whole: it needs each of {needed} once, in this order"))
    if not (_in_order(plan.steps) and _fits_together(plan.steps)):
        raise Refused(Diagnostic("E515", "the plan is not whole: it uses memory or groups that no step before takes"))
    if not _one_number_of_vcpus(plan.steps):
        raise Refused(Diagnostic("E515", "the plan is not whole: it runs other vCPUs than it describes to the guest"))


def _in_order(steps: tuple[Step, ...]) -> bool:
    """Each step stands behind those that make what it uses."""
    rows = [next(n for n, row in enumerate(ORDER) if type(step) in row) for step in steps]
    return rows == sorted(rows)


def _fits_together(steps: tuple[Step, ...]) -> bool:
    """What one step uses, another one has taken."""
    banks = {step.bank for step in steps if isinstance(step, TakeMemory)}
    groups = groups_opened(steps)
    passed = {one.address for step in steps if isinstance(step, OpenDevices) for one in step.devices}
    told = {step.address for step in steps if isinstance(step, SetVirtualFunction)}
    used = {one.bank for step in steps if isinstance(step, (GiveMemory, MapDma)) for one in step.ranges}
    opened = {one.group for step in steps if isinstance(step, OpenDevices) for one in step.devices}
    grouped = bool(groups) or not any(isinstance(step, (MapDma, OpenDevices)) for step in steps)
    return used <= banks and opened <= groups and grouped and told <= passed


def _one_number_of_vcpus(steps: tuple[Step, ...]) -> bool:
    told = {step.vcpus for step in steps if isinstance(step, DescribeMachine)}
    seen = {step.topology.count for step in steps if isinstance(step, DescribeMachine) and step.topology}
    return len(told | seen | {step.count for step in steps if isinstance(step, RunVcpus)}) == 1
