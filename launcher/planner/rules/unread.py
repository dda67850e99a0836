"""Rules about what is not known of a device, and could be in the way. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.places import in_spec
from launcher.planner.rules.interrupts import ban
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import PciFunction
    from launcher.planner.decided import Situation


def _unread(it: Situation) -> Iterator[Diagnostic]:
    """One warning for each device, and only for what could hide a blocker: can_run is unknown then."""
    said: set[int] = set()
    for choice, function in it.chosen():
        unknown = dict(_unknown(it, function))
        if function.group is not None and function.group not in said:
            said.add(function.group)
            unknown |= _regions(it, function.group)
        if not unknown:
            continue
        *rest, last = (f"{name} ({one.missing}: {one.path})" for name, one in unknown.items())
        what = f"{', '.join(rest)} and {last}" if rest else last
        fact = f"{choice.alias}: {what} could not be read"
        kinds = {one.missing for one in unknown.values()}
        help_ = (
            *(("plan as root",) if kinds - {"asleep"} else ()),
            *(("`vmlaunch devices --deep` wakes sleeping devices to read them",) if "asleep" in kinds else ()),
            "`up` looks again before its first change",
        )
        yield Diagnostic("W216", fact, in_spec(f"devices.{choice.alias}"), help=help_)


def _unknown(it: Situation, function: PciFunction) -> Iterator[tuple[str, Missing]]:
    if isinstance(function.reset, Missing):
        yield f"how {function.address} is reset", function.reset
    if isinstance(function.bars, Missing):
        yield f"the BARs of {function.address}", function.bars
    if isinstance(function.config, Missing) and function.config.missing != "denied" and _matters(it, function):
        yield f"the configuration space of {function.address}", function.config


def _matters(it: Situation, function: PciFunction) -> bool:
    """That it is denied is said by `access`. An idle device sleeps, and that is as it should be. What it would say can
    only stop a plan if it has no BAR, which may be one without an address, or if the host forbids MSI, which may be
    all that it has."""
    return function.bars == () or ban(it, function) is not None


def _regions(it: Situation, number: int) -> dict[str, Missing]:
    groups = (group for group in it.passing.groups if group.number == number)
    return {
        f"the reserved regions of IOMMU group {number}": group.reserved
        for group in groups
        if isinstance(group.reserved, Missing)
    }


RULES: tuple[Rule, ...] = (Rule("policy", _unread),)
