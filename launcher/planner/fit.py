"""(what has been decided) -> how well a host fits a VM that it can run: what `place` ranks by. Pure."""

from __future__ import annotations

from launcher.record import record
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.errors import Diagnostic
    from launcher.plan.plan import PlannedDevice, Summary
    from launcher.plan.step import Step
    from launcher.planner.decided import Situation

LOCAL = 10  # SLIT: from a node to itself (ACPI 6.5, 5.2.17)
FAR = 20  # where the host does not say


@record
class Judged:
    """A plan that nobody will save. `distance`: of devices from memory."""

    devices: tuple[PlannedDevice, ...]
    steps: tuple[Step, ...]
    diagnostics: tuple[Diagnostic, ...]
    summary: Summary
    distance: int


def distance(it: Situation) -> int:
    """How far devices are from the guest's memory: of each the distance over the local one, together. Memory that is
    bound to no node is where that is least."""
    nodes = [one.function.node for one in it.passing.taken if one.passed and one.function.node is not None]
    if not nodes:
        return 0
    banks = {bank.node for bank in it.spec.memory}
    bound = {node for node in banks if node is not None}
    if None not in banks:
        return sum(min(_over_local(it, node, bank) for bank in bound) for node in nodes)
    return min(sum(_over_local(it, node, memory) for node in nodes) for memory in {*nodes, *bound})


def _over_local(it: Situation, one: int, other: int) -> int:
    """Distances are in order of the nodes' ids, which may have gaps."""
    if one == other:
        return 0
    order = [node.id for node in it.host.nodes]
    row = next((node.distances for node in it.host.nodes if node.id == one), ())
    return max(dict(zip(order, row, strict=False)).get(other, FAR) - LOCAL, 0)
