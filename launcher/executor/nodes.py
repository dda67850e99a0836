"""A plan in; the paths of the nodes that its runner opens, and which devices are had by each, out."""

from __future__ import annotations

from launcher.kernel.handed import CONTAINER, GROUP, IOMMUFD, KVM
from launcher.plan.steps import OpenDevices, OpenGroups, OpenIommufd, groups_opened
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.plan.plan import Plan
    from launcher.values import HostDevice

    NodeOf = Callable[[HostDevice], str | None]
    GroupOf = Callable[[HostDevice], int | None]


def opened_by(plan: Plan, node: NodeOf, group: GroupOf) -> dict[str, tuple[str, ...]]:
    """Path -> aliases of the devices that are had by this node alone. `node`: the own one that a function has now;
    `group`: that of what the plan has made."""
    found: dict[str, tuple[str, ...]] = {KVM: ()}
    by_group = any(isinstance(step, OpenGroups) for step in plan.steps)
    if any(isinstance(step, OpenGroups | OpenIommufd) for step in plan.steps):
        found[CONTAINER if by_group else IOMMUFD] = ()
    for one in (one for step in plan.steps if isinstance(step, OpenDevices) for one in step.devices):
        number = group(one.address) if one.group is None else one.group
        path = GROUP.format(number) if by_group else node(one.address)
        if path is not None:
            found[path] = (*found.get(path, ()), one.alias)
    return found


def taken_by(plan: Plan, node: NodeOf) -> frozenset[str]:
    """All by which its devices can be had, in whatever way: a group's node that is open keeps those of its members from
    being bound, and the other way round."""
    devices = [one for step in plan.steps if isinstance(step, OpenDevices) for one in step.devices]
    own = (node(one.address) for one in devices)
    groups = (GROUP.format(number) for number in groups_opened(plan.steps))
    return frozenset((CONTAINER, IOMMUFD, *groups, *(path for path in own if path))) if devices else frozenset()
