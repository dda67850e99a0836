"""VMs in, each with the hosts that can run it alone; a host for each of them together out, or for as many as found one.

What is promised: each VM can run on its host beside those that were assigned there before it. It is planned on what
they leave, has groups of its own, and memory and huge pages are counted. What is not: that the best total is found, nor
any where the VMs of one host would have to be seated in another order. TRIES bounds the search.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from launcher.api.answering import Asked, enough_of, judge
from launcher.api.blocking import exit_code
from launcher.api.hosts import read_json
from launcher.api.inventories import text_at
from launcher.plan.placement import Seat
from launcher.plan.steps import groups_opened
from launcher.planner.beside import beside

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.api.inventories import Source
    from launcher.host.facts import HostFacts
    from launcher.plan.placement import HostAnswer
    from launcher.planner.decided import Judged
    from launcher.spec.load import Loaded

    Sources = Mapping[tuple[str, int], Source]  # by file and line

TRIES = 2000  # plans beside others


class Wish(NamedTuple):
    """A VM; `hosts` that can run it alone, best first."""

    asked: Asked
    hosts: tuple[HostAnswer, ...]


class _Guest(NamedTuple):
    name: str
    groups: set[int]


class _Host:
    """One that VMs are assigned to, with what these leave of it."""

    def __init__(self, facts: HostFacts) -> None:
        self._left, self.guests = [facts], list[_Guest]()

    def seat(self, asked: Asked, *, strict: bool) -> Judged | None:
        """None: it cannot run beside those that are there, or has the name of one of them."""
        name, found = asked.loaded.spec.name, judge(asked, self._left[-1])
        groups = groups_opened(found.steps)
        if any(one.name == name or one.groups & groups for one in self.guests):
            return None
        if exit_code(found.diagnostics, strict):
            return None
        self.guests.append(_Guest(name, groups))
        self._left.append(beside(self._left[-1], found.steps))
        return found

    def rise(self) -> None:
        """The last that was seated."""
        self.guests.pop()
        self._left.pop()


class _Seated(NamedTuple):
    wish: int
    answer: HostAnswer
    found: Judged


class _Search:
    """The VM with the fewest hosts first, on the best of its hosts; back to the one before where there is none."""

    def __init__(self, wishes: Sequence[Wish], sources: Sources, *, strict: bool) -> None:
        self._wishes, self._sources, self._strict, self._tries = wishes, sources, strict, TRIES
        self._hosts: dict[tuple[str, int], _Host] = {}
        self._every = list({id(one.asked): one.asked for one in wishes}.values())
        self._order = sorted(range(len(wishes)), key=lambda n: (len(wishes[n].hosts), n))
        self._seated: list[_Seated] = []
        self.best: list[_Seated] = []

    def run(self) -> None:
        """`best` is the first in which all have a host, or else the most that had one at once."""
        ways = [iter(self._wishes[number].hosts) for number in self._order[:1]]
        while ways and self._tries > 0 and len(self.best) < len(self._wishes):
            if self._advance(ways[-1], self._order[len(ways) - 1]):
                if len(self._seated) > len(self.best):
                    self.best = [*self._seated]
                ways += [iter(self._wishes[number].hosts) for number in self._order[len(ways) : len(ways) + 1]]
            else:
                ways.pop()
                if self._seated:
                    self._host(self._seated.pop().answer).rise()

    def _advance(self, ways: Iterator[HostAnswer], number: int) -> bool:
        """To the next host on which it can run."""
        for one in ways:
            host = self._host(one)
            self._tries -= bool(host.guests)
            if found := host.seat(self._wishes[number].asked, strict=self._strict):
                self._seated.append(_Seated(number, one, found))
                return True
        return False

    def _host(self, one: HostAnswer) -> _Host:
        key = (one.file, one.line)
        if key not in self._hosts:
            source = self._sources[key]
            self._hosts[key] = _Host(enough_of(read_json(text_at(source), source.where), self._every, source))
        return self._hosts[key]


def assign(wishes: Sequence[Wish], sources: Sources, *, strict: bool) -> tuple[Seat, ...]:
    """In the order of the wishes. What has found no host is there without one."""
    search = _Search([_fitting(one) for one in wishes], sources, strict=strict)
    search.run()
    found = {one.wish: one for one in search.best}
    return tuple(_seat(one.asked.loaded, found.get(number)) for number, one in enumerate(wishes))


def _fitting(one: Wish) -> Wish:
    """Without hosts that it does not fit."""
    return one._replace(hosts=tuple(host for host in one.hosts if host.fits))


def _seat(loaded: Loaded, found: _Seated | None) -> Seat:
    if found is None:
        return Seat(loaded.file, loaded.spec.name, None)
    devices = {one.alias: one.host for one in found.found.devices if one.role == "device"}
    answer = found.answer
    return Seat(loaded.file, loaded.spec.name, answer.host, answer.file, answer.line, devices)
