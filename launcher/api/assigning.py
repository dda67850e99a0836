"""VMs in, each with the hosts that can run it alone; a host for each of them together out, or for as many as found one.

What is promised: each VM can run on its host beside those that were assigned there before it. It is planned on what
they leave, has groups of its own, and memory and huge pages are counted. What is not: that the best total is found, nor
any where the VMs of one host would have to come in another order. TRIES bounds the search.
"""

from __future__ import annotations

from launcher.api.answering import Prepared, enough_of, judge
from launcher.api.blocking import exit_code
from launcher.api.hosts import read_json
from launcher.api.inventories import text_at
from launcher.plan.placement import Assigned
from launcher.planner.beside import beside, groups_taken
from launcher.planner.functions import is_bridge
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING
from launcher.values import Mdev

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.api.inventories import Source
    from launcher.host.facts import HostFacts
    from launcher.plan.placement import HostAnswer
    from launcher.planner.fit import Judged
    from launcher.spec.load import Loaded
    from launcher.values import HostDevice

    Sources = Mapping[tuple[str, int], Source]  # by file and line

TRIES = 4000  # plans beside others, and steps back


class Wish(NamedTuple):
    """A VM; `hosts` that can run it alone, best first."""

    spec: Prepared
    hosts: tuple[HostAnswer, ...]

    @property
    def name(self) -> str:
        return self.spec.loaded.spec.name


class _Guest(NamedTuple):
    name: str
    groups: set[int]


class _Host:
    """One that VMs are assigned to, with what these leave of it."""

    def __init__(self, facts: HostFacts, *, strict: bool) -> None:
        self._left, self.guests, self._strict = [facts], list[_Guest](), strict
        self._hopeless: set[str] = set()  # what does not run beside the guests of now

    def may_take(self, wish: Wish) -> bool:
        """As far as is known without planning. Two VMs of one name cannot be up on one host."""
        return wish.spec.kind not in self._hopeless and all(one.name != wish.name for one in self.guests)

    def take(self, wish: Wish) -> Judged | None:
        """None: it cannot run beside those that are there."""
        found = judge(wish.spec, self._left[-1])
        groups = groups_taken(found.steps)
        if exit_code(found.diagnostics, self._strict) or any(one.groups & groups for one in self.guests):
            self._hopeless.add(wish.spec.kind)
            return None
        self.guests.append(_Guest(wish.name, groups))
        self._left.append(beside(self._left[-1], found.steps))
        return found

    def given_to(self, found: Judged) -> tuple[HostDevice, ...]:
        """The whole groups that it opens, and mediated devices."""
        groups, facts = groups_taken(found.steps), self._left[0]
        whole = [one.address for one in facts.pci if one.group in groups and not is_bridge(one)]
        return (*sorted(whole), *sorted(one.host for one in found.devices if isinstance(one.host, Mdev)))

    def let_go(self) -> None:
        """The last that it took."""
        self.guests.pop()
        self._left.pop()
        self._hopeless.clear()


class _Found(NamedTuple):
    answer: HostAnswer
    found: Judged
    host: _Host


class _Search:
    """The VM with the fewest hosts first, on the best of its hosts; back to the one before where there is none."""

    def __init__(self, wishes: Sequence[Wish], sources: Sources, *, strict: bool) -> None:
        self._wishes, self._sources, self._strict, self._tries = wishes, sources, strict, TRIES
        self._hosts: dict[tuple[str, int], _Host] = {}
        self._every = list({one.spec.key: one.spec for one in wishes}.values())
        some = (number for number, one in enumerate(wishes) if one.hosts)
        self._order = sorted(some, key=lambda n: (len(wishes[n].hosts), wishes[n].spec.kind, n))
        self._assigned: list[_Found] = []

    def run(self) -> dict[int, _Found]:
        """By the number of its wish: all of them, if that was found, or else as many as find a place one by one."""
        return (self._all() or self._some()) if self._order else {}

    def _all(self) -> dict[int, _Found]:
        ways = [self._ways(0)]
        while ways and self._tries > 0:
            if (found := next(ways[-1], None)) is None:
                self._back(ways)
                continue
            self._assigned.append(found)
            if len(self._assigned) == len(self._order):
                return dict(zip(self._order, self._assigned, strict=True))
            ways.append(self._ways(len(ways)))
        while self._assigned:
            self._assigned.pop().host.let_go()
        return {}

    def _back(self, ways: list[Iterator[_Found]]) -> None:
        """To the one before that is of another kind: of two that are alike it does not matter which has the place."""
        failed = self._wishes[self._order[len(ways) - 1]].spec.kind
        self._tries -= 1  # hosts that are passed over cost none
        ways.pop()
        while self._assigned:
            self._assigned.pop().host.let_go()
            if self._wishes[self._order[len(ways) - 1]].spec.kind != failed:
                return
            ways.pop()

    def _some(self) -> dict[int, _Found]:
        self._tries = TRIES
        found = ((number, next(self._ways(place), None)) for place, number in enumerate(self._order))
        return {number: one for number, one in found if one is not None}

    def _ways(self, place: int) -> Iterator[_Found]:
        """Each time it is asked, the next host on which the VM can run. It has a place there then."""
        wish = self._wishes[self._order[place]]
        for one in wish.hosts:
            host = self._host(one)
            if self._tries > 0 and host.may_take(wish):
                self._tries -= bool(host.guests)
                if found := host.take(wish):
                    yield _Found(one, found, host)

    def _host(self, one: HostAnswer) -> _Host:
        key = (one.file, one.line)
        if key not in self._hosts:
            source = self._sources[key]
            facts = enough_of(read_json(text_at(source), source.where), self._every, source)
            self._hosts[key] = _Host(facts, strict=self._strict)
        return self._hosts[key]


def assign(wishes: Sequence[Wish], sources: Sources, *, strict: bool) -> tuple[Assigned, ...]:
    """In the order of the wishes. What has found no host is there without one."""
    fitting = [one._replace(hosts=tuple(host for host in one.hosts if host.fits)) for one in wishes]
    found = _Search(fitting, sources, strict=strict).run()
    return tuple(_assigned(one.spec.loaded, found.get(number)) for number, one in enumerate(wishes))


def _assigned(loaded: Loaded, found: _Found | None) -> Assigned:
    if found is None:
        return Assigned(loaded.file, loaded.spec.name, None)
    devices = {one.alias: one.host for one in found.found.devices if one.role == "device"}
    answer, only = found.answer, found.host.given_to(found.found)
    return Assigned(loaded.file, loaded.spec.name, answer.host, answer.file, answer.line, devices, only)
