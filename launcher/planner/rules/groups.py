"""Rules about IOMMU groups: that each can be opened, and who of the host's is in the way. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import is_bridge, is_kind
from launcher.planner.groups import attached_by
from launcher.planner.linux import release
from launcher.planner.losing import losses
from launcher.planner.places import in_spec
from launcher.planner.quirks import quirks
from launcher.planner.rules.no_iommu import no_group, no_iommu
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import adding, listed, moving, series, shown
from launcher.planner.uses import is_hard
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from launcher.host.facts import HostFacts, IommuGroup, PciFunction
    from launcher.planner.decided import Choice, Companion, Situation

# Drivers of members that are no PCI functions, under which these do no DMA of the host's.
_HARMLESS_OTHERS = ("vfio-platform", "vfio-amba", "vfio-fsl-mc")

_BY_CONREP = (
    "HP and HPE reserve it for all slots; with the Scripting Toolkit take this one out (RMRDS_SlotN: "
    "Endpoints_Excluded) and boot: `conrep -l -x conrep_rmrds.xml -f exclude.dat`",
)


def _isolated(it: Situation) -> Iterator[Diagnostic]:
    if it.passing.choices and it.host.iommu is None:
        yield no_iommu(it.host)
        return
    for choice, function in it.chosen():
        if function.group is None:
            yield no_group(choice, function, it.host)


def _usable(it: Situation) -> Iterator[Diagnostic]:
    """Not viable, VFIO says: a driver of the host's holds a member."""
    choices = it.passing.choices
    for group in it.passing.groups:
        companions = [one for one in it.passing.companions if one.function.group == group.number]
        if in_the_way := [one for one in companions if one.becomes == "refuse"]:
            yield _not_usable(group, in_the_way, choices, it.host)
        if others := {name: one for name, one in group.other_drivers.items() if one not in _HARMLESS_OTHERS}:
            yield _foreign_member(group, others, it.passing.deciders[group.number])


def _not_usable(
    group: IommuGroup, in_the_way: list[Companion], choices: tuple[Choice, ...], host: HostFacts
) -> Diagnostic:
    alias = in_the_way[0].alias
    choice = next(one for one in choices if one.alias == alias)
    held = _names(one.function for one in in_the_way)
    fact = f"{alias}: IOMMU group {group.number} is not usable: the host still holds {held}"
    slots = {one.function.address.slot for one in choices if one.function}
    evidence = (*_members(group, choices, host), *_losses(in_the_way, slots))
    far = any(one.function.address.slot not in slots and not is_bridge(one.function) for one in in_the_way)
    apart = moving(choice.function, group, host) if far and choice.function else ()
    ways = _ways(choice, in_the_way, apart, attached_by(alias, choices, host))
    return Diagnostic("E203", fact, in_spec(f"devices.{alias}.pci"), evidence, ways)


def _foreign_member(group: IommuGroup, held: dict[str, str], choice: Choice) -> Diagnostic:
    """A platform device, say, that shares the group: vmlaunch takes PCI functions only."""
    rows = [(name, "no PCI function", driver, "not asked for") for name, driver in held.items()]
    fact = f"{choice.alias}: IOMMU group {group.number} is not usable: the host still holds {series(held)}"
    unbind = [f"echo {name} > /sys/kernel/iommu_groups/{group.number}/devices/{name}/driver/unbind" for name in held]
    help_ = (f"take it from the host by hand: `{'; '.join(unbind)}`", "or take a device of another group")
    return Diagnostic("E203", fact, in_spec(f"devices.{choice.alias}.pci"), listed(rows), help_)


def _ways(
    choice: Choice, in_the_way: list[Companion], apart: tuple[str, ...], attached: Sequence[PciFunction]
) -> tuple[str, ...]:
    """What the host cannot spare is not offered. What costs it nothing comes first. `attached`: what else the guest
    would be given."""
    kept = [one for one in in_the_way if any(map(is_hard, one.function.uses))]
    if kept:
        spared = _names(one.function for one in kept)
        return (*apart, f"take a device of another group: the host cannot spare {spared}")
    controller = next((one.function for one in in_the_way if one.function.driver == "vmd"), None)
    if controller:
        whole = f"or pass the VMD controller itself: `pci: {controller.address}`"
        return ("switch Intel VMD off in the firmware: its drives share one group with it", whole)
    attach = f"{adding(choice, 'companions', 'attach')} to give {_names(attached)} to the guest too"
    taken = f"take {_names(one.function for one in in_the_way)} from the host and give it to nobody"
    return (*apart, *((attach,) if attached else ()), f"{adding(choice, 'companions', 'detach')} to {taken}")


def _names(functions: Iterable[PciFunction]) -> str:
    return series(str(one.address) for one in functions)


def _members(group: IommuGroup, choices: tuple[Choice, ...], host: HostFacts) -> tuple[str, ...]:
    """The group as evidence: address, what it is, its driver, whether the spec asks for it."""
    asked = {choice.function.address for choice in choices if choice.function}
    members = [one for one in host.pci if one.group == group.number]
    rows = [(*shown(one), "asked for" if one.address in asked else "not asked for") for one in members]
    label = f"group {group.number}: "
    return tuple(f"{label if n == 0 else ' ' * len(label)}{line}" for n, line in enumerate(listed(rows, 16)))


def _losses(in_the_way: list[Companion], slots: set[str]) -> tuple[str, ...]:
    """What the host would be without, if it gave them away."""
    return tuple(f"{one.function.address}: {what}" for one in in_the_way for what in losses(one.function, slots))


def _direct(it: Situation) -> Iterator[Diagnostic]:
    """`direct` regions are the firmware's own. Intel refuses such a group, AMD does since 6.6 (require_direct)."""
    iommu = it.host.iommu
    if iommu is not None and iommu.kind == "AMD-Vi" and release(it.host.kernel) < (6, 6):
        return
    for group in it.passing.groups:
        regions = group.reserved if isinstance(group.reserved, tuple) else ()
        direct = next((one for one in regions if one.kind == "direct"), None)
        if direct is None or _lets_go(group, it):
            continue
        alias, span = it.passing.deciders[group.number].alias, f"{direct.start:#x}-{direct.last:#x}"
        fact = f"{alias}: the firmware keeps {span} for a device of IOMMU group {group.number}"
        yield Diagnostic("E215", fact, in_spec(f"devices.{alias}"), help=_out_of_the_firmware(group, it))


def _lets_go(group: IommuGroup, it: Situation) -> bool:
    """Before 5.3 Intel's driver calls all such regions direct and lets graphics and USB go all the same
    (device_is_rmrr_locked in intel-iommu.c); since then theirs are direct-relaxable. Whose of a group a region is
    cannot be seen: sound and the like beside them in their slot have none."""
    if it.host.iommu is None or it.host.iommu.kind != "Intel VT-d" or release(it.host.kernel) >= (5, 3):
        return False
    members = [one for one in it.members(group) if not is_bridge(one)]
    slots = {one.address.slot for one in members if is_kind(one, "display", "0c03")}
    return all(one.address.slot in slots for one in members)


def _out_of_the_firmware(group: IommuGroup, it: Situation) -> tuple[str, ...]:
    first = _BY_CONREP if any(any(quirks("E215", one, it.host)) for one in it.members(group)) else ()
    usual = "switch off what uses it in the firmware (USB legacy, iLO, RAID monitoring)"
    return (*first, f"or {usual}" if first else usual, "or take another device")


RULES: tuple[Rule, ...] = (
    Rule("kernel", _isolated),
    Rule("kernel", _usable),
    Rule("kernel", _direct),
)
