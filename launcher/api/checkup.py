"""A host in, a check for each subject of `doctor` out: what the planner finds for a small VM with one device."""

from __future__ import annotations

from launcher.api.verdicts import Trial, Trials, errors_of, without_alias
from launcher.planner.functions import is_bridge
from launcher.report.doctor import Check, examine
from launcher.typed import TYPE_CHECKING
from launcher.values import PciAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from launcher.errors import Diagnostic
    from launcher.host.facts import HostFacts

MOST_TRIED = 16  # devices, to find one that has little against it
LEFT = {"W232", "W233"}  # what a driver_override that nobody needs gives
_NOWHERE = PciAddress(0, 0, 0, 0)


def checkup(host: HostFacts, left: Iterable[Diagnostic] = (), wanted: Sequence[str] = ()) -> tuple[Check, ...]:
    """`left`: what `leftovers` found on this host. `wanted`: what subjects are `only` for; none are all."""
    trials = Trials(host)
    best = _best(host, trials)
    found = (*best.general, *best.own, *_overrides(host, trials), *trials.served(), *trials.firmware(), *left)
    return examine(host, map(without_alias, found), wanted)


def _best(host: HostFacts, trials: Trials) -> Trial:
    """The device with the fewest errors of its own: what is left is more likely to be about the host."""
    endpoints = [one for one in host.pci if not is_bridge(one)]
    some = [one.address for one in endpoints if one.group is not None][:MOST_TRIED]
    tried = (trials.plan(address) for address in some or [one.address for one in endpoints[:1]] or [_NOWHERE])
    return min(tried, key=lambda trial: len(errors_of(trial.own)))


def _overrides(host: HostFacts, trials: Trials) -> Iterator[Diagnostic]:
    for function in host.pci:
        if function.driver_override is not None:
            yield from (one for one in trials.plan(function.address).own if one.code in LEFT)
