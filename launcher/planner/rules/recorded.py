"""Rules about the age of facts: a host that was recorded a while ago may have become another. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation

HOUR = 3600
_UNITS = (("day", 24 * HOUR), ("hour", HOUR))
_AGAIN = "record it again: `vmlaunch devices --json > {}.json` there, at its start and by a timer"


def _old(it: Situation) -> Iterator[Diagnostic]:
    recorded, now = it.host.recorded_at, it.terms.now
    if recorded is None or now is None or abs(now.seconds - recorded.seconds) <= HOUR:
        return
    age = now.seconds - recorded.seconds
    when = f"{_rough(age)} ago" if age > 0 else f"{_rough(-age)} from now: the clocks differ"
    yield Diagnostic("W267", f"{it.host.name} was recorded {when}", help=(_AGAIN.format(it.host.name),))


def _rough(seconds: int) -> str:
    unit, size = next((one for one in _UNITS if seconds >= 2 * one[1]), _UNITS[-1])
    number = seconds // size
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _booted(it: Situation) -> Iterator[Diagnostic]:
    """Then drivers, group numbers and what is in use may be others. Devices are where they were, mostly."""
    recorded, here = it.host.boot_id, it.terms.boot_id
    if recorded is not None and here is not None and recorded != here:
        fact = f"{it.host.name} has booted since it was recorded"
        yield Diagnostic("W268", fact, help=(_AGAIN.format(it.host.name),))


RULES: tuple[Rule, ...] = (Rule("policy", _old), Rule("policy", _booted))
