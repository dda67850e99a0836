"""A host and a site's wishes in, what of it a scheduler can give away out: the units that the planner would pass.

A VM that is given a unit has a plan with just that device behind it, under the same wishes.
"""

from __future__ import annotations

import re
from collections import defaultdict

from launcher.api.doubles import newest
from launcher.api.inventories import hosts_in
from launcher.api.verdicts import Trials, errors_of
from launcher.errors import Diagnostic, Refused, WrongUsage
from launcher.foreign.units import KINDS, MDEV, REST, Unit, kind_of, offer_of, type_of, type_of_mdev
from launcher.planner.functions import is_bridge
from launcher.planner.mediated import API
from launcher.row import NamedTuple
from launcher.spec.consent import WORDS
from launcher.spec.kinds import is_of
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from launcher.api.inventories import Source
    from launcher.foreign.units import Offer
    from launcher.host.facts import HostFacts, PciFunction
    from launcher.values import Moment

Wishes = dict[str, object]  # fields of a device of a spec
_FATES = ("refuse", "attach", "detach")
_ORDER = (*KINDS, REST)


def offered(host: HostFacts, wishes: Mapping[str, Wishes] | None = None) -> Offer:
    """`wishes` by kind, as `wishes_of` reads them."""
    return offer_of(host, (*sorted(_units(host, wishes or {}), key=_place), *_mediated(host)))


class Found(NamedTuple):
    """A host that can be offered."""

    source: Source
    recorded_at: Moment | None
    offer: Offer


def offers_in(
    path: str, wishes: Mapping[str, Wishes], check: Callable[[str], None]
) -> tuple[list[Offer], list[Diagnostic]]:
    """Of all hosts there, by name, and what is to be said of files. `check` refuses a name."""
    by_name: dict[str, list[Found]] = defaultdict(list)
    said: list[Diagnostic] = []
    for source, host in hosts_in(path):
        try:
            found = _found(source, host, wishes, check)
        except Refused as refused:
            said += refused.diagnostics
        else:
            by_name[found.offer.host].append(found)
    counted = [newest(name, same) for name, same in sorted(by_name.items())]
    return [one.offer for one, _ in counted if one], [*said, *(told for _, told in counted if told)]


def _found(
    source: Source, host: HostFacts | Refused, wishes: Mapping[str, Wishes], check: Callable[[str], None]
) -> Found:
    if isinstance(host, Refused):
        raise host
    try:
        check(host.name)
    except Refused as refused:
        raise Refused(*(one.at(source.where) for one in refused.diagnostics)) from None
    return Found(source, host.recorded_at, offered(host, wishes))


def _place(unit: Unit) -> tuple[int, str, str]:
    return _ORDER.index(unit.kind), unit.type, str(unit.address)


def _units(host: HostFacts, wishes: Mapping[str, Wishes]) -> Iterator[Unit]:
    """A group is given once, by the first of its functions that can be passed; so is one that comes with another."""
    trials, groups = Trials(host), {one.address: one.group for one in host.pci}
    given: set[int | None] = {None}
    for one in sorted(host.pci, key=by_kind):
        if one.group in given or one.group is None or is_bridge(one):
            continue
        trial = trials.plan(one.address, **_wishes_for(one, wishes))
        with_it = {groups.get(member) for member in trial.taken}
        if errors_of(trial.own) or with_it & given:
            continue
        given |= with_it | {one.group}
        yield Unit(kind_of(one.class_code, one.id), type_of(one.id), one.address, one.node, one.group)


def _mediated(host: HostFacts) -> Iterator[Unit]:
    """Those that are there. Of what could be made only its driver knows how many more there can be."""
    for one in sorted(host.mediated, key=lambda one: (one.type, one.address)):
        if one.api in (API, None) and one.driver is not None and one.group is not None:
            yield Unit(MDEV, type_of_mdev(one.type), one.address, one.node, None)


def _wishes_for(one: PciFunction, wishes: Mapping[str, Wishes]) -> Wishes:
    """Of each class that it is of, as `match` has it: `ethernet` and `network`."""
    own = kind_of(one.class_code, one.id)
    found = (fields for kind, fields in wishes.items() if kind == own or is_of(kind, one.class_code, one.id))
    return {field: value for fields in found for field, value in fields.items()}


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
