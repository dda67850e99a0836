"""The kernel's own verdict on every PCI function of a lab host, and the plan's: they are the same.

Each function is planned alone, with all that a spec can accept, then bound as the plan's steps say, its group opened
and it taken, as by a VM; what the plan calls usable addresses is mapped at its edges.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from launcher.api.hosts import this_host
from launcher.host.facts import HostFacts, IommuGroup, PciFunction
from launcher.plan.plan import Plan
from launcher.plan.steps import BindDriver
from launcher.planner.regions import reserved_by
from launcher.values import Span
from tests.lab.inside.binding import Bindings
from tests.lab.inside.vfio import PAGE, Group, OwnNode, Refused
from tests.planning import SMALL, codes, plan

# The lab host's own: the shares that carry its files; and the IOMMU, where it is a PCI function itself.
KEPT = ("00:01.0", "00:1d.0", "00:1e.0")

# Errors that are meant though this kernel would do it, and why.
MEANT = {
    "E212": "VFIO takes host and ISA bridges, whose header is that of a device; no guest can do anything with them",
}
# An AMD IOMMU translates 48 bits or more; before its driver asked how many, it claimed all 64.
OPTIMISTIC = ("AMD-Vi", 1 << 64)

UNSAFE = Path("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts")


@pytest.mark.short
def test_the_plan_says_of_every_function_what_the_kernel_does() -> None:
    assert list(disagreements(this_host())) == []


@pytest.mark.host("no-remapping")
def test_the_plan_follows_when_unsafe_interrupts_are_allowed() -> None:
    UNSAFE.write_text("1")
    try:
        assert list(disagreements(this_host())) == []
    finally:
        UNSAFE.write_text("0")


@pytest.mark.long
@pytest.mark.host("iommufd", "compat")
def test_by_iommufd_too_the_plan_says_of_every_function_what_the_kernel_does() -> None:
    assert list(disagreements(this_host(), "iommufd")) == []


def disagreements(host: HostFacts, by: str = "type1") -> Iterator[str]:
    kept = {one.group for one in host.pci if one.address.guest in KEPT} - {None}
    for function in host.pci:
        if function.group not in kept and function.address.guest not in KEPT:
            group = next((one for one in host.groups if one.number == function.group), None)
            with Bindings() as bindings:
                found = (
                    *_about_its_group(function, group, host, bindings, by),
                    *_about_it(function, group, host, bindings, by),
                )
            yield from (f"{function.address}: {one}" for one in found)


def _about_its_group(
    function: PciFunction, group: IommuGroup | None, host: HostFacts, bindings: Bindings, by: str
) -> Iterator[str]:
    """With nothing but the function itself taken from its driver, is the group viable? What opens not is not asked."""
    if group is None or not bindings.give(function.address, "vfio-pci"):
        return
    found = codes(_plan(function, host, "refuse", by))
    if "E212" in found:
        return
    ours = "E203" not in found
    with suppress(Refused), _open(function, group, by) as opened:
        if opened.viable() != ours:
            yield f"the plan calls its group {'' if ours else 'not '}usable as it is, the kernel does not agree"


def _about_it(
    function: PciFunction, group: IommuGroup | None, host: HostFacts, bindings: Bindings, by: str
) -> Iterator[str]:
    """With its companions detached, does the kernel give it to us, and which addresses can it reach?"""
    made = _plan(function, host, "detach", by)
    errors = {one.code for one in made.diagnostics if one.severity == "error"}
    try:
        yield from _as_planned(function, group, made, host, bindings)
    except Refused as why:
        if not errors:
            yield f"the plan finds nothing against it, the kernel does: {why}"
    else:
        if errors - set(MEANT):
            yield f"the kernel takes it, the plan does not: {', '.join(sorted(errors - set(MEANT)))}"


def _as_planned(
    function: PciFunction, group: IommuGroup | None, made: Plan, host: HostFacts, bindings: Bindings
) -> Iterator[str]:
    wanted = {function.address: "vfio-pci"} | {
        step.address: step.driver for step in made.steps if isinstance(step, BindDriver)
    }
    for address, driver in wanted.items():
        if not bindings.give(address, driver):
            raise Refused(f"{driver or 'nobody'} does not get {address}")
    if group is None:
        raise Refused("it has no group")
    with _open(function, group, "iommufd" if made.host.backend == "VFIO iommufd" else "type1") as opened:
        opened.attach()
        opened.take(function.address)
        yield from _about_addresses(opened, group, host)


def _open(function: PciFunction, group: IommuGroup, by: str) -> Group | OwnNode:
    return OwnNode(function.address) if by == "iommufd" else Group(group.number)


def _about_addresses(opened: Group | OwnNode, group: IommuGroup, host: HostFacts) -> Iterator[str]:
    assert host.iommu
    assert host.iommu.address_bits
    whole = Span(0, 1 << host.iommu.address_bits)
    ours, theirs = whole.minus(one.span for one in reserved_by([group])), opened.ranges()
    if (host.iommu.kind, theirs[-1].end) == OPTIMISTIC:
        theirs[-1] = Span(theirs[-1].start, whole.end - theirs[-1].start)
        outside = [one.start - PAGE for one in ours if one.start]
    else:
        outside = [edge for one in ours for edge in (one.start - PAGE, one.end) if edge >= 0]
    if ours != tuple(theirs):
        yield f"usable addresses: {_shown(ours)} in the plan, {_shown(theirs)} in the kernel"
    inside = [edge for one in ours for edge in (one.start, one.end - PAGE)]
    yield from (f"{edge:#x} is usable in the plan, and cannot be mapped" for edge in inside if not opened.maps(edge))
    yield from (f"{edge:#x} is not usable in the plan, and can be mapped" for edge in outside if opened.maps(edge))


def _shown(spans: Iterable[Span]) -> str:
    return " ".join(map(str, spans))


def _plan(function: PciFunction, host: HostFacts, companions: str, by: str) -> Plan:
    device = {
        "pci": str(function.address),
        "companions": companions,
        "allow": ["in-use", "no-reset", "unsafe-interrupts"],
    }
    return plan(f"{SMALL}vfio: {by}\ndevices: {json.dumps({'it': device})}\n", host)
