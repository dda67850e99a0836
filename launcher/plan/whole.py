"""A Plan in; Refused when its steps do not fit together, as may be in one that somebody edited. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic, Refused
from launcher.plan.firmware import LoadFirmware, OpenVariables
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
    Virtio,
    aliases_served,
)
from launcher.values import GIB, KIB, MIB

CHIPSET = 0x01  # the slot of an ISA bridge and power management, where firmware boots
MOST_FIRMWARE = 16 * MIB  # below 4 GiB, with its variables: above it is what KVM and devices have there
VIRTIO_SLOTS = range(0x01, 0x10)  # behind them are those of passed devices

# Steps of the kinds of one row stand in any order among themselves, rows one after the other.
ORDER: tuple[tuple[type[Step], ...], ...] = (
    (KeepState,),
    (LoadModules,),
    (BindDriver, StaysBound),
    (SetVirtualFunction,),
    (MakeTap, OpenTap, StartDiskEngine, StartShareEngine, StartUserNetwork, ConnectEngine),
    (OpenVariables,),
    (TakeMemory,),
    (OpenGroups,),
    (MapDma,),
    (CreateVm,),
    (GiveMemory,),
    (OpenDevices,),
    (AddVirtio,),
    (LoadKernel,),
    (LoadInitrd,),
    (LoadFirmware,),
    (DescribeMachine,),
    (RunVcpus,),
)


def check_whole(plan: Plan) -> None:
    once = needed_once(plan.steps)
    if tuple(type(step) for step in plan.steps if type(step) in ONCE) != once:
        needed = ", ".join(kind.op for kind in once)
        raise Refused(Diagnostic("E515", f"the plan is not whole: it needs each of {needed} once, in this order"))
    if not (_in_order(plan.steps) and _fits_together(plan.steps)):
        raise Refused(Diagnostic("E515", "the plan is not whole: it uses memory or groups that no step before takes"))
    if not _served(plan.steps):
        raise Refused(Diagnostic("E515", "the plan is not whole: engines and virtio functions do not belong together"))
    if not _firmware_fits(plan.steps):
        raise Refused(Diagnostic("E515", "the plan is not whole: firmware does not fit what is with it"))
    if not _one_number_of_vcpus(plan.steps):
        raise Refused(Diagnostic("E515", "the plan is not whole: it runs other vCPUs than it describes to the guest"))


def needed_once(steps: tuple[Step, ...]) -> tuple[type[Step], ...]:
    """A guest starts by a kernel or by firmware."""
    other = LoadKernel if any(isinstance(step, LoadFirmware) for step in steps) else LoadFirmware
    return tuple(kind for kind in ONCE if kind is not other)


def _firmware_fits(steps: tuple[Step, ...]) -> bool:
    """It ends at 4 GiB, and has its variables from one place. It finds its own kernel, and its chipset in slot 1."""
    found = [step for step in steps if isinstance(step, LoadFirmware)]
    kept = [step for step in steps if isinstance(step, OpenVariables)]
    if not found:
        return not kept
    one, pages = found[0], (found[0].size, found[0].variables)
    ends = one.guest + one.size == 4 * GIB and one.size > 0 and not any(size % (4 * KIB) for size in pages)
    room = one.size + one.variables <= MOST_FIRMWARE and one.variables >= 0
    here = [step.size for step in kept] + [one.variables] * bool(one.template)
    alone = not any(isinstance(step, LoadInitrd) for step in steps)
    slots = (each.guest.device for step in steps if isinstance(step, AddVirtio) for each in step.functions)
    return ends and room and here == [one.variables] * bool(one.variables) and alone and CHIPSET not in slots


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


# What brings each kind of function what works on it. vhost-vsock has all it needs in the kernel.
_BRINGS: dict[tuple[str, str], tuple[type[Step], ...]] = {
    ("blk", "vhost-user"): (StartDiskEngine, ConnectEngine),
    ("net", "vhost-user"): (StartUserNetwork, ConnectEngine),
    ("net", "vhost-net"): (MakeTap, OpenTap),
    ("fs", "vhost-user"): (StartShareEngine,),
    ("vsock", "vhost-vsock"): (),
}


def _served(steps: tuple[Step, ...]) -> bool:
    """Each function has one engine of its kind, and each engine a function; those of processes share all memory."""
    functions = [one for step in steps if isinstance(step, AddVirtio) for one in step.functions]
    wanted = {one.alias: _BRINGS.get((one.kind, one.engine)) for one in functions}
    brought = [(alias, type(step)) for step in steps for alias in aliases_served(step)]
    own = {alias for alias, kinds in wanted.items() if kinds != ()}
    fits = all(kind in (wanted.get(alias) or ()) for alias, kind in brought) and None not in wanted.values()
    once = len(wanted) == len(functions) and len(brought) == len(own) == len({alias for alias, _ in brought})
    memory = all(step.shared for step in steps if isinstance(step, TakeMemory))
    return fits and once and _apart(functions) and (memory or not any(one.engine == "vhost-user" for one in functions))


def _apart(functions: list[Virtio]) -> bool:
    """Slots of their own, before those of passed devices; BARs, MACs and what else only one can have."""
    guests = [one.guest for one in functions]
    slots = all((one.domain, one.bus, one.function) == (0, 0, 0) and one.device in VIRTIO_SLOTS for one in guests)
    macs = [one.mac for one in functions if one.mac is not None]
    return slots and all(len(set(some)) == len(some) for some in (guests, [one.bar for one in functions], macs))


def _one_number_of_vcpus(steps: tuple[Step, ...]) -> bool:
    told = {step.vcpus for step in steps if isinstance(step, DescribeMachine)}
    seen = {step.topology.count for step in steps if isinstance(step, DescribeMachine) and step.topology}
    return len(told | seen | {step.count for step in steps if isinstance(step, RunVcpus)}) == 1
