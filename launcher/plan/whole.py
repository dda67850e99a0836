"""A Plan in; Refused when its steps do not fit together, as may be in one that somebody edited. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic, Refused
from launcher.plan.firmware import LoadFirmware, OpenVariables
from launcher.plan.plan import Plan
from launcher.plan.seed import StartSeedEngine
from launcher.plan.step import Step
from launcher.plan.steps import (
    ONCE,
    STARTS,
    BindDriver,
    CreateVm,
    DescribeMachine,
    GiveMemory,
    KeepState,
    LoadInitrd,
    LoadKernel,
    LoadModules,
    MakeMdev,
    MapDma,
    OpenDevices,
    OpenGroups,
    OpenIommufd,
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
from launcher.values import Mdev

HIGH, FLASH = 1 << 32, 0xFFC0_0000  # where firmware ends, and where it begins at the earliest
PAGE = 4096
ISA_BRIDGE = 1  # the slot that firmware looks for it in
VIRTIO_SLOTS = range(0x01, 0x10)  # behind them are those of passed devices

# Steps of the kinds of one row stand in any order among themselves, rows one after the other.
ORDER: tuple[tuple[type[Step], ...], ...] = (
    (KeepState,),
    (LoadModules,),
    (BindDriver, StaysBound),
    (SetVirtualFunction,),
    (MakeMdev,),
    (MakeTap, OpenTap, StartDiskEngine, StartShareEngine, StartUserNetwork, StartSeedEngine, ConnectEngine),
    (OpenVariables,),
    (TakeMemory,),
    (OpenGroups, OpenIommufd),
    (MapDma,),
    (CreateVm,),
    (GiveMemory,),
    (OpenDevices,),
    (AddVirtio,),
    (LoadKernel, LoadFirmware),
    (LoadInitrd,),
    (DescribeMachine,),
    (RunVcpus,),
)


def check_whole(plan: Plan) -> None:
    starts = [type(step) for step in plan.steps if type(step) in STARTS][:1]
    wanted = [kind for kind in ONCE if kind not in STARTS or kind in starts]
    if len(starts) != 1 or [type(step) for step in plan.steps if type(step) in ONCE] != wanted:
        needed = ", ".join(kind.op for kind in ONCE if kind is not LoadFirmware)
        raise Refused(Diagnostic("E515", f"the plan is not whole: it needs each of {needed} once, in this order"))
    if not (_in_order(plan.steps) and _fits_together(plan.steps)):
        raise Refused(Diagnostic("E515", "the plan is not whole: it uses memory or groups that no step before takes"))
    if not _served(plan.steps):
        raise Refused(Diagnostic("E515", "the plan is not whole: engines and virtio functions do not belong together"))
    if not _boots(plan.steps):
        raise Refused(
            Diagnostic("E515", "the plan is not whole: its firmware and its variables do not belong together")
        )
    if not _one_number_of_vcpus(plan.steps):
        raise Refused(Diagnostic("E515", "the plan is not whole: it runs other vCPUs than it describes to the guest"))


def _in_order(steps: tuple[Step, ...]) -> bool:
    """Each step stands behind those that make what it uses."""
    rows = [next(n for n, row in enumerate(ORDER) if type(step) in row) for step in steps]
    return rows == sorted(rows)


def _fits_together(steps: tuple[Step, ...]) -> bool:
    """What one step uses, another one has taken."""
    banks = {step.bank for step in steps if isinstance(step, TakeMemory)}
    passed = {one.address for step in steps if isinstance(step, OpenDevices) for one in step.devices}
    told = {step.address for step in steps if isinstance(step, SetVirtualFunction)}
    used = {one.bank for step in steps if isinstance(step, (GiveMemory, MapDma)) for one in step.ranges}
    made = [step.address for step in steps if isinstance(step, MakeMdev)]
    opens = any(isinstance(step, (OpenGroups, OpenIommufd)) for step in steps)
    grouped = (
        bool(groups_opened(steps))
        or (opens and bool(made))
        or not any(isinstance(step, (MapDma, OpenDevices)) for step in steps)
    )
    return used <= banks and grouped and told <= passed and _opened_once(steps) and _made_once(made, steps)


def _opened_once(steps: tuple[Step, ...]) -> bool:
    """Each function, by one of the two ways and as a member of the group that is opened for it; and each group."""
    devices = [(one.address, one.group) for step in steps if isinstance(step, OpenDevices) for one in step.devices]
    groups = [number for step in steps if isinstance(step, OpenGroups) for number in step.groups]
    bound = [[(one.address, one.group) for one in step.functions] for step in steps if isinstance(step, OpenIommufd)]
    if len(bound) > 1 or (bound and (groups or sorted(bound[0], key=str) != sorted(devices, key=str))):
        return False
    made = [address for step in steps if isinstance(step, OpenGroups) for address in step.made]
    ready = {group for _, group in devices if group is not None}
    known = bool(bound) or (
        ready <= set(groups) and {address for address, group in devices if group is None} <= set(made)
    )
    return known and all(len(set(some)) == len(some) for some in ([address for address, _ in devices], groups))


def _made_once(made: list[Mdev], steps: tuple[Step, ...]) -> bool:
    """What has no group yet is made, and what is made is opened as such."""
    new = [one.address for step in steps if isinstance(step, OpenDevices) for one in step.devices if one.group is None]
    opened = [address for step in steps if isinstance(step, OpenGroups) for address in step.made]
    return sorted(new, key=str) == sorted(made, key=str) and set(opened) <= set(made) and len(set(made)) == len(made)


# What brings each kind of function what works on it. vhost-vsock has all it needs in the kernel.
_BRINGS: dict[tuple[str, str], tuple[type[Step], ...]] = {
    ("blk", "vhost-user"): (StartDiskEngine, StartSeedEngine, ConnectEngine),
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


def _boots(steps: tuple[Step, ...]) -> bool:
    """Firmware ends where the addresses of 32 bits do, with its variables right below it, and boots what is there."""
    kept = [step for step in steps if isinstance(step, OpenVariables)]
    roms = [step for step in steps if isinstance(step, LoadFirmware)]
    if not roms:
        return not kept
    rom = roms[0]
    there = [one.guest for step in steps if isinstance(step, OpenDevices) for one in step.devices]
    there += [one.guest for step in steps if isinstance(step, AddVirtio) for one in step.functions]
    ends = rom.guest + rom.size == HIGH and rom.size > 0 and 0 <= rom.variables <= rom.guest - FLASH
    whole = all(amount % PAGE == 0 for amount in (rom.size, rom.variables))
    same = [one.size for one in kept] == ([] if rom.template or not rom.variables else [rom.variables])
    alone = not any(isinstance(step, LoadInitrd) for step in steps)
    slots = [one.guest.device for step in steps if isinstance(step, AddVirtio) for one in step.functions]
    return ends and whole and same and alone and ISA_BRIDGE not in slots and set(rom.order) <= set(there)


def _one_number_of_vcpus(steps: tuple[Step, ...]) -> bool:
    told = {step.vcpus for step in steps if isinstance(step, DescribeMachine)}
    seen = {step.topology.count for step in steps if isinstance(step, DescribeMachine) and step.topology}
    return len(told | seen | {step.count for step in steps if isinstance(step, RunVcpus)}) == 1
