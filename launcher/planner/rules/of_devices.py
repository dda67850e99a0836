"""The rules that are about devices: of a VM without any they say nothing. In the order of a card's way. Pure."""

from __future__ import annotations

from launcher.planner.rules import (
    bars,
    binding,
    choices,
    consents,
    drivers,
    given,
    graphics,
    groups,
    in_use,
    interrupts,
    isolation,
    links,
    mediated,
    networks,
    numa,
    quirks,
    resets,
    slots,
    unread,
    virtual_functions,
)
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Diagnostic
    from launcher.planner.decided import Situation
    from launcher.planner.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *choices.RULES,
    *mediated.RULES,
    *given.RULES,
    *groups.RULES,
    *slots.RULES,
    *binding.RULES,
    *isolation.RULES,
    *drivers.RULES,
    *virtual_functions.RULES,
    *networks.RULES,
    *in_use.RULES,
    *consents.RULES,
    *bars.RULES,
    *resets.RULES,
    *quirks.RULES,
    *interrupts.RULES,
    *graphics.RULES,
    *numa.RULES,
    *links.RULES,
    *unread.RULES,
)


def findings_of_devices(situation: Situation, found: list[Diagnostic]) -> Iterator[Diagnostic]:
    """Behind what was found before. Of binding last: the command for it is given where nothing else is in the way."""
    found = [*found, *(one for rule in RULES for one in rule.check(situation))]
    yield from found
    yield from binding.check_binding(situation, found)
