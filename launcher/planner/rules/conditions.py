"""Rules about where a device is: its node and those of memory and CPUs, and how its link does. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.places import field
from launcher.planner.rules.rule import Rule
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.rules.rule import Situation


# ---- nodes ----


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
        where = field(f"devices.{choice.alias}.pci")
        yield Diagnostic("W214", fact, where, tuple(filter(None, evidence)), help_)


def _pinned_nodes(it: Situation, banks: set[int | None]) -> set[int]:
    """None if vCPUs are away from the memory, which is said of the pins."""
    nodes = {cpu.id: cpu.node for cpu in it.host.cpus}
    pinned = {nodes[cpu] for cpu in it.spec.cpus.pin or () if cpu in nodes}
    return pinned if None in banks or pinned <= banks else set()


def _show(nodes: set[int]) -> str:
    return f"node {' and '.join(map(str, sorted(nodes)))}"


def _distance(it: Situation, one: int, other: int) -> str:
    """Distances are in order of the nodes' ids, which may have gaps."""
    order = [node.id for node in it.host.nodes]
    row = next((node.distances for node in it.host.nodes if node.id == one), ())
    far = dict(zip(order, row, strict=False)).get(other)
    return "" if far is None else f"from node {one} to node {other} the distance is {far}; 10 is local"


# ---- links ----


def _errors(it: Situation) -> Iterator[Diagnostic]:
    """Those that were corrected are normal."""
    for choice, function in it.chosen():
        counts = {kind: function.errors.get(kind, 0) for kind in ("fatal", "nonfatal")}
        if any(counts.values()):
            seen = " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)
            only_one = sum(counts.values()) == 1
            fact = f"{choice.alias}: {function.address} had {seen} PCI Express {'error' if only_one else 'errors'}"
            help_ = ("since the host was started: check the card's seat, its riser and its power",)
            yield Diagnostic("W263", fact, field(f"devices.{choice.alias}"), help=help_)


def _narrow(it: Situation) -> Iterator[Diagnostic]:
    """Idle GPUs lower the speed of their link and never its width."""
    for choice, function in it.chosen():
        link = function.link
        if link is None or isinstance(link, Missing) or link.width == 0:
            continue
        slow = link.speed != link.max_speed and not function.class_code.startswith("03")
        if link.width < link.max_width or slow:
            now, could = f"x{link.width} at {link.speed}", f"x{link.max_width} at {link.max_speed}"
            fact = f"{choice.alias}: the link of {function.address} is {now}, and could be {could}"
            help_ = ("check the card's seat and riser, and how the firmware splits the slot's lanes",)
            yield Diagnostic("W264", fact, field(f"devices.{choice.alias}"), help=help_)


RULES: tuple[Rule, ...] = (Rule("policy", _nodes), Rule("policy", _errors), Rule("policy", _narrow))
