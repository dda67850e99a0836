"""Rules about how the PCI Express link of a device does: its errors, its width and its speed. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.planner.functions import is_kind
from launcher.planner.places import in_spec
from launcher.planner.quirks import is_tunnelled, reads_as_tunnel
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation

_INSIDE = "check the card's seat and riser, and how the firmware splits the slot's lanes"
_OUTSIDE = "check the cable, and the slot in the device's case"


def _errors(it: Situation) -> Iterator[Diagnostic]:
    """Those that were corrected are normal."""
    for choice, function in it.chosen():
        counts = {kind: function.errors.get(kind, 0) for kind in ("fatal", "nonfatal")}
        if any(counts.values()):
            seen = " and ".join(f"{count} {kind}" for kind, count in counts.items() if count)
            only_one = sum(counts.values()) == 1
            fact = f"{choice.alias}: {function.address} had {seen} PCI Express {'error' if only_one else 'errors'}"
            help_ = ("since the host was started: check the card's seat, its riser and its power",)
            yield Diagnostic("W263", fact, in_spec(f"devices.{choice.alias}"), help=help_)


def _narrow(it: Situation) -> Iterator[Diagnostic]:
    """Idle GPUs lower the speed of their link and never its width. A tunnel says nothing of what it carries."""
    for choice, function in it.chosen():
        link = function.link
        if link is None or isinstance(link, Missing) or link.width == 0:
            continue
        slow = link.speed != link.max_speed and not is_kind(function, "gpu")
        if link.width < link.max_width or slow:
            now, could = f"x{link.width} at {link.speed}", f"x{link.max_width} at {link.max_speed}"
            fact = f"{choice.alias}: the link of {function.address} is {now}, and could be {could}"
            tunnelled = is_tunnelled(function, it.host)
            if tunnelled and reads_as_tunnel(link.width, link.speed):
                continue
            help_ = (_OUTSIDE if tunnelled else _INSIDE,)
            yield Diagnostic("W264", fact, in_spec(f"devices.{choice.alias}"), help=help_)


RULES: tuple[Rule, ...] = (Rule("policy", _errors), Rule("policy", _narrow))
