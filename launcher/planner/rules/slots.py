"""Rules about guest slots: a place for each function, no two in one, and a function 0 in each. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.plan.plan import PlannedDevice
    from launcher.planner.decided import Situation
    from launcher.values import PciAddress


def _slots(it: Situation) -> Iterator[Diagnostic]:
    seen: dict[PciAddress, PlannedDevice] = {}
    for one in it.devices:
        where = in_spec(f"devices.{one.alias}.guest")
        if one.guest is None and one.role != "detached":
            fact = f"{one.alias}: the guest has no slot left for {one.host}; it has 16, 00:10.0 to 00:1f.0"
            yield Diagnostic("E211", fact, where, help=("pass fewer devices to one VM",))
        elif one.guest is not None and (first := seen.setdefault(one.guest, one)) is not one:
            both = f"{first.host} ({first.alias}) and {one.host}"
            fact = f"{one.alias}: {both} would both be {one.guest.guest} in the guest"
            yield Diagnostic("E213", fact, where, help=("give one of them another `guest` slot",))
    heads = {guest.device for guest in seen if guest.function == 0}
    headless = {guest.device: (guest, one) for guest, one in seen.items() if guest.device not in heads}
    for guest, one in headless.values():
        fact = f"{one.alias}: the guest finds nothing at {guest.guest} without a function 0 in that slot"
        yield Diagnostic("E213", fact, in_spec(f"devices.{one.alias}.guest"), help=(f"write `{guest.guest[:-1]}0`",))


RULES: tuple[Rule, ...] = (Rule("kernel", _slots),)
