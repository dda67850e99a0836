"""(a group that is not usable, who holds it) -> the diagnostic that names them and the ways out. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.functions import is_bridge, listed, shown
from launcher.planner.places import field
from launcher.planner.uses import is_hard

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, IommuGroup
    from launcher.planner.choose import Choice
    from launcher.planner.groups import Companion


def not_usable(
    group: IommuGroup, culprits: list[Companion], choices: tuple[Choice, ...], host: HostFacts
) -> Diagnostic:
    alias = culprits[0].alias
    choice = next(one for one in choices if one.alias == alias)
    fact = f"{alias}: IOMMU group {group.number} is not usable: the host still holds {_names(culprits)}"
    evidence = (*_members(group, choices, host), *_uses(culprits))
    return Diagnostic("E203", fact, field(f"devices.{alias}.pci"), evidence, _ways(choice, culprits))


def foreign_member(group: IommuGroup, held: dict[str, str], choice: Choice) -> Diagnostic:
    """A platform device, say, that shares the group: vmlaunch takes PCI functions only."""
    rows = [(name, "no PCI function", driver, "not asked for") for name, driver in held.items()]
    fact = f"{choice.alias}: IOMMU group {group.number} is not usable: the host still holds {' and '.join(held)}"
    unbind = [f"echo {name} > /sys/kernel/iommu_groups/{group.number}/devices/{name}/driver/unbind" for name in held]
    help_ = (f"take it from the host by hand: `{'; '.join(unbind)}`", "or take a device of another group")
    return Diagnostic("E203", fact, field(f"devices.{choice.alias}.pci"), listed(rows), help_)


def _ways(choice: Choice, culprits: list[Companion]) -> tuple[str, ...]:
    """What the host cannot spare is not offered."""
    kept = [one for one in culprits if any(map(is_hard, one.function.uses))]
    if kept:
        return (f"take a device of another group: the host cannot spare {_names(kept)}",)
    controller = next((one.function for one in culprits if one.function.driver == "vmd"), None)
    if controller:
        whole = f"or pass the VMD controller itself: `pci: {controller.address}`"
        return ("switch Intel VMD off in the firmware: its drives share one group with it", whole)
    guests = [one for one in culprits if not is_bridge(one.function)]
    attach = f"{choice.adding('companions', 'attach')} to give {_names(guests)} to the guest too"
    taken = f"take {_names(culprits)} from the host and give it to nobody"
    return (*((attach,) if guests else ()), f"{choice.adding('companions', 'detach')} to {taken}")


def _names(companions: list[Companion]) -> str:
    return " and ".join(str(one.function.address) for one in companions)


def _members(group: IommuGroup, choices: tuple[Choice, ...], host: HostFacts) -> tuple[str, ...]:
    """The group as evidence: address, what it is, its driver, whether the spec asks for it."""
    asked = {choice.function.address for choice in choices if choice.function}
    members = [one for one in host.pci if one.group == group.number]
    rows = [(*shown(one), "asked for" if one.address in asked else "not asked for") for one in members]
    label = f"group {group.number}: "
    return tuple(f"{label if n == 0 else ' ' * len(label)}{line}" for n, line in enumerate(listed(rows, 16)))


def _uses(culprits: list[Companion]) -> tuple[str, ...]:
    return tuple(f"{one.function.address}: {use.what}" for one in culprits for use in one.function.uses)
