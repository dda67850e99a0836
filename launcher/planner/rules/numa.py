"""Rules about NUMA: the node of a device, and those of memory and CPUs. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import series
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation


def _nodes(it: Situation) -> Iterator[Diagnostic]:
    banks = {bank.node for bank in it.spec.memory}
    cpus = _pinned_nodes(it, banks)
    for choice, function in it.chosen():
        if function.node is None:
            continue
        memory = set() if None in banks or function.node in banks else {node for node in banks if node is not None}
        pins = set() if function.node in cpus else cpus
        if not memory and not pins:
            continue
        what = f"all memory is on {_show(memory)}" if memory else f"all vCPUs are pinned to {_show(pins)}"
        fact = f"{choice.alias} is on node {function.node}, {what}"
        why = "DMA then crosses" if memory else "interrupts then cross"
        help_ = (f"{why} the sockets: put the {'memory' if memory else 'vCPUs'} or the device on the other node",)
        evidence = tuple(_distance(it, function.node, node) for node in sorted(memory or pins))
        where = in_spec(f"devices.{choice.alias}.pci")
        yield Diagnostic("W214", fact, where, tuple(filter(None, evidence)), help_)


def _pinned_nodes(it: Situation, banks: set[int | None]) -> set[int]:
    """None if vCPUs are away from the memory, which is said of the pins."""
    nodes = {cpu.id: cpu.node for cpu in it.host.cpus}
    pinned = {nodes[cpu] for cpu in it.spec.cpus.pin or () if cpu in nodes}
    return pinned if None in banks or pinned <= banks else set()


def _show(nodes: set[int]) -> str:
    return f"node {series(map(str, sorted(nodes)))}"


def _distance(it: Situation, one: int, other: int) -> str:
    """Distances are in order of the nodes' ids, which may have gaps."""
    order = [node.id for node in it.host.nodes]
    row = next((node.distances for node in it.host.nodes if node.id == one), ())
    far = dict(zip(order, row, strict=False)).get(other)
    return "" if far is None else f"from node {one} to node {other} the distance is {far}; 10 is local"


RULES: tuple[Rule, ...] = (Rule("policy", _nodes),)
