"""Specs and many hosts in; for each spec the hosts that can run it, best first, and why the others cannot, out.

What is said of a host is what `plan --host` says of it. Where several specs are given, each VM gets a host, too.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict

from launcher.api.answering import Prepared, answer, enough_of, judge, prepared
from launcher.api.assigning import Wish, assign
from launcher.api.doubles import newest
from launcher.api.hosts import check_version, read_json
from launcher.api.inventories import Source, texts_in
from launcher.api.spread import cpus, spread
from launcher.errors import Diagnostic, Refused
from launcher.plan.placement import FORMAT_VERSION, HostAnswer, Placement, Reason, SpecPlacement
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING
from launcher.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from launcher.plan.placement import Told
    from launcher.planner.fit import Judged
    from launcher.spec.load import Loaded
    from launcher.values import Moment, PciAddress

_FEW = 4 << 20  # bytes of facts for which another process is not worth it
_NAMELESS = ("", "redacted")


class Row(NamedTuple):
    """One host: what each spec comes to on it, or why it could not be read. `ids`: of each spec, by alias, what sits
    here at an address that it names."""

    source: Source
    answers: tuple[HostAnswer, ...] = ()
    ids: tuple[dict[str, str], ...] = ()
    recorded_at: Moment | None = None
    refused: tuple[Diagnostic, ...] = ()


def place(
    specs: Sequence[Loaded],
    hosts: str,
    *,
    strict: bool = False,
    told: Callable[[int], None] = lambda _: None,
    parts: int | None = None,
) -> Placement:
    """`hosts` is a folder of facts files, or a file with a host in each line; `told` of how many have been judged.

    Refused, if there is no host at all. One that cannot be read is told in `unread`, and stops nothing.
    """
    every = [prepared(one) for one in specs]
    distinct = {one.key: one for one in every}
    rows = list[Row]()
    for row in spread(lambda part, of: _rows([*distinct.values()], hosts, strict, part, of), parts or _parts(hosts)):
        rows.append(row)
        told(len(rows))
    unread, read = _sorted_out(rows)
    each = enumerate(distinct.items())
    placed = {
        key: _placement(one.loaded, [row.answers[n] for row in read], [row.ids[n] for row in read])
        for n, (key, one) in each
    }
    assigned = None
    if len(specs) > 1:
        wishes = [Wish(distinct[one.key], placed[one.key].hosts) for one in every]
        sources = {(row.source.path, row.source.line): row.source for row in read}
        assigned = assign(wishes, sources, strict=strict)
    return Placement(FORMAT_VERSION, VERSION, tuple(placed.values()), assigned, tuple(unread))


def _parts(hosts: str) -> int:
    """Reading a few hosts is done sooner than processes are made."""
    try:
        files = [entry.path for entry in os.scandir(hosts)] if os.path.isdir(hosts) else [hosts]
        return cpus() if sum(map(os.path.getsize, files)) > _FEW else 1
    except OSError:
        return 1  # reading says what is wrong


def _rows(specs: Sequence[Prepared], hosts: str, strict: bool, part: int, parts: int) -> Iterator[Row]:
    for source, raw in texts_in(hosts, part, parts):
        try:
            yield _row(raw, specs, source, strict)
        except Refused as refused:
            yield Row(source, refused=refused.diagnostics)


def _row(raw: bytes | Refused, specs: Sequence[Prepared], source: Source, strict: bool) -> Row:
    if isinstance(raw, Refused):
        raise raw
    plain = read_json(raw, source.where)
    check_version(plain, source.where)
    host = enough_of(plain, specs, source)
    found = [judge(one, host) for one in specs]
    answers = (answer(each, host, plain, source, strict=strict) for each in found)
    ids = (_ids(one.loaded, each) for one, each in zip(specs, found, strict=True))
    return Row(source, tuple(answers), tuple(ids), host.recorded_at)


def _ids(loaded: Loaded, found: Judged) -> dict[str, str]:
    named = {alias for alias, _, _ in _addressed(loaded)}
    return {one.alias: one.id for one in found.devices if one.alias in named and one.role == "device" and one.id}


# ---- hosts that are there twice ----


def _sorted_out(rows: list[Row]) -> tuple[list[Diagnostic], list[Row]]:
    """What is to be said of files, and the hosts that could be read, each once: the one that was recorded last."""
    by_name: dict[str, list[Row]] = defaultdict(list)
    unread = list[Diagnostic]()
    for row in sorted(rows, key=_place):
        if row.answers:
            by_name[_name(row)].append(row)
        else:
            unread += row.refused
    found = [newest(same[0].answers[0].host, same) for same in by_name.values()]
    return [*unread, *(said for _, said in found if said)], [row for row, _ in found if row]


def _place(row: Row) -> tuple[str, int]:
    return row.source.path, row.source.line


def _name(row: Row) -> str:
    """Of hosts that were recorded without their names each is one of its own."""
    name = row.answers[0].host
    return str(row.source) if name in _NAMELESS else name


# ---- the answer for one spec ----


def _placement(loaded: Loaded, answers: Iterable[HostAnswer], ids: Sequence[dict[str, str]]) -> SpecPlacement:
    hosts = tuple(sorted(answers, key=lambda one: one.rank))
    fitting = sum(one.fits for one in hosts)
    diagnostics = tuple(_addresses(loaded, ids))
    return SpecPlacement(loaded.file, loaded.spec.name, fitting, hosts, _reasons(hosts), diagnostics)


def _reasons(hosts: Iterable[HostAnswer]) -> tuple[Reason, ...]:
    """Most hosts first. Hosts with the same codes are of one kind, whatever devices the words are about."""
    found: dict[tuple[str, ...], list[HostAnswer]] = defaultdict(list)
    for one in hosts:
        if not one.fits:
            found[tuple(sorted({told.code for told in _in_the_way(one)}))].append(one)
    reasons = (_reason(same) for same in found.values())
    return tuple(sorted(reasons, key=lambda one: (-len(one.hosts), [told.code for told in one.diagnostics])))


def _reason(same: list[HostAnswer]) -> Reason:
    first = _in_the_way(same[0])
    alike = all(_in_the_way(one) == first for one in same)
    return Reason(tuple(one.host for one in same), first, alike)


def _in_the_way(one: HostAnswer) -> tuple[Told, ...]:
    """Blockers; of a host that only warnings keep out (--strict), these."""
    return tuple(told for told in one.diagnostics if told.code.startswith("E")) or one.diagnostics


def _addresses(loaded: Loaded, ids: Sequence[dict[str, str]]) -> Iterator[Diagnostic]:
    """An address is a place on one machine. With `expect` at least nothing else is taken."""
    for alias, key, address in _addressed(loaded):
        where = loaded.places.where(f"devices.{alias}.{key}")
        fact = f"{alias}: on each host {address} is whatever sits in that slot"
        there = Counter(one[alias] for one in ids if alias in one)
        yield Diagnostic("W577", fact, where, help=tuple(_by_what_it_is(there)))


def _addressed(loaded: Loaded) -> Iterator[tuple[str, str, PciAddress]]:
    """Alias, key and address of each device that is named by nothing else."""
    for alias, device in loaded.spec.devices.items():
        key, address = ("match.pf", device.match.pf) if device.match else ("pci", device.pci)
        if address is not None and device.expect is None:
            yield alias, key, address


def _by_what_it_is(there: Counter[str]) -> Iterator[str]:
    """What most hosts have there; an id of something else would be copied, too."""
    usual = min(there, key=lambda id_: (-there[id_], id_), default=None)
    if usual is None:
        yield "ask for what it is: `match` with `pick: free`, as `vmlaunch explain devices.match` says"
        return
    yield f"ask for what it is, as `match: {{id: {usual}}}` with `pick: free`"
    yield f"or add `expect: {usual}`"
