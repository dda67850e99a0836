"""Rules about what a plan may touch: what is given, an IOMMU group whole or not at all, and the mediated devices that a
given one is parted into. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import is_bridge
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import listed, series, shown
from launcher.typed import TYPE_CHECKING
from launcher.values import PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from launcher.host.facts import IommuGroup, PciFunction
    from launcher.planner.decided import Situation, Terms
    from launcher.values import HostDevice

_MOST = 4  # of those that are wanted


def giving(terms: Terms, addresses: Iterable[HostDevice]) -> str:
    """What to write for these to be given, too."""
    return f"`--only {','.join(sorted(map(str, {*(terms.only or ()), *addresses})))}`"


def wanted_and_given(wanted: Sequence[PciFunction], it: Situation) -> tuple[str, ...]:
    """As evidence."""
    only = [one for one in it.terms.only or () if isinstance(one, PciAddress)]
    given = [one for address in only if (one := it.host_functions.get(address))]
    rows = [*((*shown(one), "not given") for one in wanted[:_MOST]), *((*shown(one), "given") for one in given)]
    return listed(rows)


def _all_there(it: Situation) -> Iterator[Diagnostic]:
    """If not, whoever gave it knows another host than this, or this one as it was."""
    mediated = {*(one.address for one in it.host.mediated), *(one.address for one in it.passing.mediated)}
    gone = [one for one in it.terms.only or () if one not in it.host_functions and one not in mediated]
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
            help_ = (f"a VM has all of a group or nothing: {giving(it.terms, (one.address for one in missing))}",)
            yield Diagnostic("E247", fact, in_spec(f"devices.{alias}"), wanted_and_given(missing, it), help_)


def _mediated(it: Situation) -> Iterator[Diagnostic]:
    """It is given by its UUID, or with its parent, of which it is a part."""
    for one in it.passing.mediated if it.terms.only is not None else ():
        name = one.device.parent if one.device else one.wanted[0] if one.wanted else None
        if name is None or it.terms.allows_part(one.address, name):
            continue
        fact = f"{one.alias}: {one.address} is not given, nor is {name}, of which it is a part"
        parent = next((each for each in it.host.pci if str(each.address) == name), None)
        wanted = wanted_and_given([parent] if parent else [], it)
        yield Diagnostic("E247", fact, in_spec(f"devices.{one.alias}.mdev"), wanted, (giving(it.terms, [one.address]),))


def _touched(group: IommuGroup, it: Situation) -> list[PciFunction]:
    """Its endpoints, and a bridge that is taken from its driver."""
    taken = {one.function.address for one in it.passing.taken}
    return [one for one in it.members(group) if one.address in taken or not is_bridge(one)]


RULES: tuple[Rule, ...] = (Rule("kernel", _all_there), Rule("kernel", _whole_groups), Rule("kernel", _mediated))
