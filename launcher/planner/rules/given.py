"""Rules about what a plan may touch: what is given, an IOMMU group whole or not at all, and the mediated devices that a
given one is parted into. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.functions import is_bridge
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import listed, series, shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.host.facts import IommuGroup, PciFunction
    from launcher.planner.decided import Situation, Terms

_MOST = 4  # of those that are wanted


def giving(terms: Terms, functions: Sequence[PciFunction]) -> str:
    """What to write for these to be given, too."""
    addresses = sorted({*(terms.only or ()), *(one.address for one in functions)})
    return f"`--only {','.join(map(str, addresses))}`"


def wanted_and_given(wanted: Sequence[PciFunction], it: Situation) -> tuple[str, ...]:
    """As evidence."""
    given = [one for address in it.terms.only or () if (one := it.host_functions.get(address))]
    rows = [*((*shown(one), "not given") for one in wanted[:_MOST]), *((*shown(one), "given") for one in given)]
    return listed(rows)


def _all_there(it: Situation) -> Iterator[Diagnostic]:
    """If not, whoever gave it knows another host than this, or this one as it was."""
    gone = [address for address in it.terms.only or () if address not in it.host_functions]
    if gone:
        said = series(map(str, gone))
        fact = f"{said} {'is' if len(gone) == 1 else 'are'} given, and this host has no such device"
        help_ = ("have whoever gave it read this host again: `vmlaunch devices` lists what there is",)
        yield Diagnostic("E248", fact, in_spec("devices"), wanted_and_given((), it), help_)


def _whole_groups(it: Situation) -> Iterator[Diagnostic]:
    """VFIO opens a group whole, and so nobody else can have the rest of it."""
    for group in it.passing.groups if it.terms.only is not None else ():
        missing = [one for one in _touched(group, it) if not it.terms.allows(one.address)]
        if missing:
            alias, said = it.passing.deciders[group.number].alias, series(str(one.address) for one in missing)
            fact = f"{alias}: {said} of IOMMU group {group.number} {'is' if len(missing) == 1 else 'are'} not given"
            help_ = (f"a VM has all of a group or nothing: {giving(it.terms, missing)}",)
            yield Diagnostic("E247", fact, in_spec(f"devices.{alias}"), wanted_and_given(missing, it), help_)


def _mediated(it: Situation) -> Iterator[Diagnostic]:
    """It is a part of its parent, which a scheduler knows by its address, or not at all."""
    for one in it.passing.mediated if it.terms.only is not None else ():
        name = one.device.parent if one.device else one.wanted[0] if one.wanted else None
        parent = next((each for each in it.host.pci if str(each.address) == name), None)
        if name is None or (parent is not None and it.terms.allows(parent.address)):
            continue
        fact = f"{one.alias}: {one.address} is a part of {name}, which is not given"
        nobody = "no scheduler gives it: it is no PCI device; plan without `--only`"
        help_ = (giving(it.terms, [parent]) if parent else nobody,)
        wanted = wanted_and_given([parent], it) if parent else ()
        yield Diagnostic("E247", fact, in_spec(f"devices.{one.alias}.mdev"), wanted, help_)


def _touched(group: IommuGroup, it: Situation) -> list[PciFunction]:
    """Its endpoints, and a bridge that is taken from its driver."""
    taken = {one.function.address for one in it.passing.taken}
    return [one for one in it.members(group) if one.address in taken or not is_bridge(one)]


RULES: tuple[Rule, ...] = (Rule("kernel", _all_there), Rule("kernel", _whole_groups), Rule("kernel", _mediated))
