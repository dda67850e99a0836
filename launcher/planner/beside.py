"""(a host, what a plan for it takes) -> the host as it is while that VM is up: what is left for another. Pure."""

from __future__ import annotations

from collections import Counter

from launcher.plan.steps import MakeMdev, TakeMemory, groups_opened
from launcher.planner.needs import POOLS
from launcher.record import replace
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from launcher.host.facts import HostFacts, IommuGroup, MediatedParent, Memory, Node, PciFunction
    from launcher.plan.step import Step


def groups_taken(steps: Iterable[Step]) -> set[int]:
    return groups_opened(steps)


def beside(host: HostFacts, steps: Iterable[Step]) -> HostFacts:
    """Its groups are VFIO's, its functions have vfio-pci, its memory, huge pages and mediated devices are gone, and
    those that it makes can be made no more."""
    taken = [step for step in steps if isinstance(step, TakeMemory)]
    groups, made = groups_taken(steps), Counter((one.parent, one.type) for one in steps if isinstance(one, MakeMdev))
    nodes = host.nodes
    for step in taken:
        nodes = _without_pages(nodes, step) if step.page_size in POOLS else _without_memory(nodes, step)
    small = sum(step.size for step in taken if step.page_size not in POOLS)
    return replace(
        host,
        nodes=nodes,
        memory=_less(host.memory, small),
        groups=tuple(_opened(one) if one.number in groups else one for one in host.groups),
        pci=tuple(_bound(one) if one.group in groups else one for one in host.pci),
        mediated=tuple(one for one in host.mediated if one.group not in groups),
        mediated_parents=tuple(_drawn_on(one, made) for one in host.mediated_parents),
    )


def _drawn_on(parent: MediatedParent, made: Counter[tuple[str, str]]) -> MediatedParent:
    types = (
        one if one.available is None else replace(one, available=max(one.available - made[parent.name, one.name], 0))
        for one in parent.types
    )
    return replace(parent, types=tuple(types))


def _less(memory: Memory, size: int) -> Memory:
    """Guests may fill theirs: also what is not populated at the start counts."""
    available, total = max(memory.available - size, 0), max(memory.total - size, 0)
    return replace(memory, total=total, available=available, committed=memory.committed + size)


def _without_memory(nodes: tuple[Node, ...], step: TakeMemory) -> tuple[Node, ...]:
    if step.node is None:
        return nodes
    return tuple(replace(one, memory=max(one.memory - step.size, 0)) if one.id == step.node else one for one in nodes)


def _without_pages(nodes: tuple[Node, ...], step: TakeMemory) -> tuple[Node, ...]:
    """Where no node is named, those of the first that have some."""
    left, found = step.size // step.page_size, []
    for node in nodes:
        pools = []
        for pool in node.huge_pages:
            here = min(pool.free, left) if pool.size == step.page_size and step.node in (None, node.id) else 0
            left -= here
            pools.append(replace(pool, free=pool.free - here))
        found.append(replace(node, huge_pages=tuple(pools)))
    return tuple(found)


def _opened(one: IommuGroup) -> IommuGroup:
    return replace(one, kind="unmanaged")


def _bound(one: PciFunction) -> PciFunction:
    """A bridge stays with its driver."""
    return one if one.class_code.startswith("06") else replace(one, driver="vfio-pci")
