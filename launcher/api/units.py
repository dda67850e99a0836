"""A host and a site's wishes in, what of it a scheduler can give away out: the units that the planner would pass.

A VM that is given a unit has a plan with just that device behind it, under the same wishes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from launcher.api.verdicts import Trials, errors_of
from launcher.errors import Diagnostic, WrongUsage
from launcher.foreign.units import KINDS, REST, Unit, kind_of, offer_of, type_of
from launcher.planner.functions import is_bridge
from launcher.spec.consent import WORDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.foreign.units import Offer
    from launcher.host.facts import HostFacts, PciFunction

Wishes = dict[str, object]  # fields of a device of a spec
_FATES = ("refuse", "attach", "detach")
_ORDER = (*KINDS, REST)


def offered(host: HostFacts, wishes: Mapping[str, Wishes] | None = None) -> Offer:
    """`wishes` by kind, as `wishes_of` reads them."""
    return offer_of(host, tuple(sorted(_units(host, wishes or {}), key=_place)))


def _place(unit: Unit) -> tuple[int, str, str]:
    return _ORDER.index(unit.kind), unit.type, str(unit.address)


def _units(host: HostFacts, wishes: Mapping[str, Wishes]) -> Iterator[Unit]:
    """A group is given once, by the first of its functions that can be passed; so is one that comes with another."""
    trials, groups = Trials(host), {one.address: one.group for one in host.pci}
    given: set[int | None] = {None}
    for one in sorted(host.pci, key=by_kind):
        if one.group in given or one.group is None or is_bridge(one):
            continue
        kind = kind_of(one.class_code, one.id)
        trial = trials.plan(one.address, **wishes.get(kind, {}))
        with_it = {groups.get(member) for member in trial.taken}
        if errors_of(trial.own) or with_it & given:
            continue
        given |= with_it | {one.group}
        yield Unit(kind, type_of(one.id), one.address, one.node, one.group, trial.taken)


def by_kind(one: PciFunction) -> tuple[int, str]:
    """Of the functions of a group, the first is what a unit is called by."""
    return _ORDER.index(kind_of(one.class_code, one.id)), str(one.address)


def wishes_of(texts: Sequence[str]) -> dict[str, Wishes]:
    """`gpu.companions=attach` and `nvme.allow=in-use,no-reset`: what each spec of the site says of that class."""
    found: dict[str, Wishes] = {}
    for text in texts:
        kind, field, value = _wish(text)
        found.setdefault(kind, {})[field] = value
    return found


def _wish(text: str) -> tuple[str, str, object]:
    match = re.fullmatch(r"([a-z]+)\.(companions|allow)=([a-z,-]+)", text)
    if match and match[1] in _ORDER:
        kind, field, value = match.groups()
        words = tuple(value.split(","))
        if field == "companions" and value in _FATES:
            return kind, field, value
        if field == "allow" and all(word in WORDS for word in words):
            return kind, field, words
    help_ = (
        f"write CLASS.companions={'|'.join(_FATES)} or CLASS.allow={','.join(WORDS)}, as `gpu.companions=attach`",
        f"classes are {', '.join(_ORDER)}",
    )
    raise WrongUsage(Diagnostic("E581", f"{text!r} is no wish for the devices of a class", help=help_))
