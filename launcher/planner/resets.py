"""(functions of this VM, host) -> the reset that the kernel can give each, and what else that reset hits. Pure."""

from __future__ import annotations

from collections import defaultdict

from launcher.planner.decided import Reset
from launcher.planner.functions import is_bridge, on_vfio
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.host.facts import HostFacts, PciFunction
    from launcher.planner.decided import Passthrough
    from launcher.values import PciAddress

# Linux has these in reset_method if nothing else was on the bus when it found the function: the first of a bus has
# `bus` there whatever came after it. When it is to be done the kernel looks again, and refuses if there is more.
_OF_THE_BUS = ("bus", "cxl_bus")


def planned_resets(passing: Passthrough, host: HostFacts) -> dict[PciAddress, Reset]:
    """For all functions that are taken. The host's are only looked through if a bus has to be known."""
    functions = [one.function for one in passing.taken]
    if all(own_method(one) for one in functions):
        return {one.address: Reset(own_method(one)) for one in functions}
    ours, buses = _ours(passing, host), _Buses(host)
    return {one.address: _reset(one, buses.beside(one), ours) for one in functions}


def own_method(one: PciFunction) -> str | None:
    """The first that is for the function alone."""
    methods = () if isinstance(one.reset, Missing) else one.reset
    return next((method for method in methods if method not in _OF_THE_BUS), None)


def _reset(one: PciFunction, others: Sequence[PciFunction], ours: set[PciAddress]) -> Reset:
    if own := own_method(one):
        return Reset(own)
    foreign = tuple(other for other in others if other.address not in ours)
    if isinstance(one.reset, Missing) or one.reset_off:
        return Reset()
    if one.reset:
        return Reset(one.reset[0], tuple(others), foreign)
    # On a root bus there is no bridge that could reset it.
    hot = one.parent is not None and others and not foreign
    return Reset("hot", tuple(others)) if hot else Reset(foreign=foreign if one.parent else ())


def _ours(passing: Passthrough, host: HostFacts) -> set[PciAddress]:
    """What VFIO finds in a group of this VM. A bridge never is: no vfio driver takes one."""
    groups = {group.number for group in passing.groups}
    taken = {one.function.address for one in passing.taken if not is_bridge(one.function)}
    return taken | {one.address for one in host.pci if one.group in groups and on_vfio(one)}


class _Buses:
    """All functions of the host, by what they are below."""

    def __init__(self, host: HostFacts) -> None:
        self._below: dict[PciAddress, list[PciFunction]] = defaultdict(list)
        self._on: dict[tuple[int, int], list[PciFunction]] = defaultdict(list)
        for one in host.pci:
            self._on[one.address.domain, one.address.bus].append(one)
            if one.parent:
                self._below[one.parent].append(one)

    def beside(self, one: PciFunction) -> tuple[PciFunction, ...]:
        """What else is reset with the bus: its other functions, and all that is below them."""
        waiting = list(self._below[one.parent] if one.parent else self._on[one.address.domain, one.address.bus])
        found: dict[PciAddress, PciFunction] = {one.address: one}
        while waiting:
            other = waiting.pop()
            if other.address not in found:
                found[other.address] = other
                waiting += self._below.get(other.address, ())
        return tuple(found[address] for address in sorted(found) if address != one.address)
