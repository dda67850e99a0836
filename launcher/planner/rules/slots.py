"""Rules about guest slots: a place for each function, no two in one, and a function 0 in each. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import listed
from launcher.planner.slots import FUNCTIONS, PASSED
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.plan.plan import PlannedDevice
    from launcher.planner.decided import Situation
    from launcher.values import PciAddress


def _slots(it: Situation) -> Iterator[Diagnostic]:
    seen: dict[PciAddress, PlannedDevice] = {}
    without = [one for one in it.devices if one.guest is None and one.role != "detached"]
    if without:
        yield _too_many(without, sum(one.role != "detached" for one in it.devices))
    for one in it.devices:
        where = in_spec(f"devices.{one.alias}.guest")
        if one.guest is not None and (first := seen.setdefault(one.guest, one)) is not one:
            both = f"{first.host} ({first.alias}) and {one.host}"
            fact = f"{one.alias}: {both} would both be {one.guest.guest} in the guest"
            yield Diagnostic("E213", fact, where, help=("give one of them another `guest` slot",))
    heads = {guest.device for guest in seen if guest.function == 0}
    headless = {guest.device: (guest, one) for guest, one in seen.items() if guest.device not in heads}
    for guest, one in headless.values():
        fact = f"{one.alias}: the guest finds nothing at {guest.guest} without a function 0 in that slot"
        yield Diagnostic("E213", fact, in_spec(f"devices.{one.alias}.guest"), help=(f"write `{guest.guest[:-1]}0`",))


def _too_many(without: list[PlannedDevice], asked: int) -> Diagnostic:
    """Slots that have functions but no function 0 take no others, and the guest's limit is not what is in the way."""
    first, more = without[0], f" and {len(without) - 1} more" if len(without) > 1 else ""
    most = len(PASSED) * len(FUNCTIONS)
    fact = (
        f"{first.alias}: the guest has no place left for {first.host}{more}: it has {most}, and {asked} are asked for"
    )
    evidence = (
        f"{len(PASSED)} slots, 00:10 to 00:1f, of {len(FUNCTIONS)} functions each",
        *listed([(one.alias, str(one.host)) for one in without], 4),
    )
    ways = ["pass fewer functions to one VM"]
    if asked <= most:
        ways = [
            "write a `guest` that ends in .0 for each slot that has only other functions: nothing is put beside them"
        ]
    return Diagnostic("E211", fact, in_spec(f"devices.{first.alias}"), evidence, tuple(ways))


RULES: tuple[Rule, ...] = (Rule("kernel", _slots),)
