"""(HostFacts, verdicts, width) -> its devices by IOMMU group for people, each with what a spec must say. Pure."""

from __future__ import annotations

from collections import Counter
from itertools import zip_longest

from launcher.codes import explanation
from launcher.host.class_names import class_name
from launcher.record import record, replace
from launcher.report.frame import visible
from launcher.report.lines import WIDE, count, wrapped
from launcher.typed import TYPE_CHECKING
from launcher.values import show_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.errors import Diagnostic
    from launcher.host.facts import HostFacts, MediatedDevice, MediatedParent, PciFunction
    from launcher.values import PciAddress

_ROOMY = 90  # columns from which on there is room for the node
_DRIVER = 13  # columns at most
_LEAST = 32  # columns for a device and its verdict beside each other
_KEPT = "\u00a0"  # a blank where no line is cut: what is to be written into the spec stays whole, as does a size
_HEAD = ("group", "host", "is", "node", "driver", "verdict")


@record
class Verdict:
    """`wishes`: what a spec must say beside the address, as `companions: attach`. `problems`: in the way even then.

    `general`: in the way of every device of this host. `unread`: what could not be read and may be in the way.
    """

    wishes: tuple[str, ...] = ()
    problems: tuple[Diagnostic, ...] = ()
    general: tuple[Diagnostic, ...] = ()
    unread: tuple[Diagnostic, ...] = ()
    bridge: bool = False

    def hindered(self, by: tuple[Diagnostic, ...]) -> Verdict:
        return replace(self, general=by)


NAMELESS = (
    "Names of devices come from pci.ids, which this host has not: Debian and Ubuntu have it in the package pci.ids, "
    "Fedora, Arch and openSUSE in hwdata."
)


def inventory_text(
    host: HostFacts, functions: Sequence[PciFunction], verdicts: Mapping[PciAddress, Verdict], width: int = WIDE
) -> str:
    """`functions` are those to list. Without a verdict the column is empty."""
    return "\n".join(visible(line) for line in _lines(host, functions, verdicts, width))


def _lines(
    host: HostFacts, functions: Sequence[PciFunction], verdicts: Mapping[PciAddress, Verdict], width: int
) -> Iterator[str]:
    iommu = host.iommu.kind if host.iommu else "no IOMMU in use"
    yield f"{host.name} · Linux {host.kernel} · {iommu}"
    general = {problem.message: problem for verdict in verdicts.values() for problem in verdict.general}
    for problem in general.values():
        yield from wrapped("No device can be passed: ", f"{problem.message} ({problem.code})", width)
    if general:
        yield "`vmlaunch doctor` says what to do."
    yield ""
    listed = sorted(functions, key=lambda one: (one.group is None, one.group or 0, one.address))
    words = {one.address: _words(one, verdicts.get(one.address)) for one in listed}
    if listed:
        yield from _rows(listed, words, _Table.of(listed, words, width))
        yield ""
    yield from wrapped("", _closing(host, functions, verdicts), width)
    if host.mediated and len(functions) == len(host.pci):
        yield from ("", *mediated_rows(host.mediated))
    if host.mediated_parents and len(functions) == len(host.pci):
        yield from ("", *parent_rows(host.mediated_parents))
    if listed and not any(one.name for one in host.pci):
        yield from wrapped("", NAMELESS, width)


def _rows(listed: Sequence[PciFunction], words: Mapping[PciAddress, str], table: _Table) -> Iterator[str]:
    yield table.head()
    before: int | None = -1
    for one in listed:
        yield from table.rows(one, words[one.address], first=one.group != before)
        before = one.group


@record
class _Table:
    """Columns for what a device is, for its driver and for its verdict; there may be none for its node."""

    name: int
    driver: int
    verdict: int
    with_node: bool
    on_a_line: bool = False  # there is room for what a device is called behind what it is

    @classmethod
    def of(cls, listed: Sequence[PciFunction], words: Mapping[PciAddress, str], width: int) -> _Table:
        """Where not all fits, a verdict gets half of what the others leave, or more; where that is little, a line."""
        name = max(map(len, (_HEAD[2], *map(_name, listed), *map(_called, listed))))
        whole = max(map(len, (_HEAD[2], *map(_whole_name, listed))))
        driver = max(map(len, (_HEAD[4], *(one.driver or "" for one in listed))))
        verdict = max(map(len, (_HEAD[5], *words.values())))
        with_node = width >= _ROOMY and any(one.node is not None for one in listed)
        rest = width - len("group  0000:00:00.0  ") - 6 * with_node - 4
        if whole + driver + verdict <= rest:
            return cls(whole, driver, verdict, with_node, on_a_line=True)
        if name + driver + verdict <= rest:
            return cls(name, driver, verdict, with_node)
        driver = min(driver, _DRIVER)
        rest -= driver
        if rest < _LEAST:
            return cls(rest + 2, driver, 0, with_node)
        verdict = min(verdict, max(rest // 2, rest - name))
        return cls(rest - verdict, driver, verdict, with_node)

    def head(self) -> str:
        return self.line(*_HEAD[:5], _HEAD[5] if self.verdict else "")

    def rows(self, one: PciFunction, words: str, *, first: bool) -> Iterator[str]:
        group, node = ("-" if number is None else str(number) for number in (one.group, one.node))
        names = () if self.on_a_line else filter(None, wrapped("", _called(one), self.name))
        sentence, *rest = wrapped("", words, self.verdict or self.name + self.driver + 12)
        name = _written(_whole_name(one)) if self.on_a_line else _name(one, self.name)
        begin = (group if first else "", str(one.address), name, node, one.driver or "-")
        yield self.line(*begin, _written(sentence) if self.verdict else "")
        if self.verdict:
            for name, more in zip_longest(names, rest, fillvalue=""):
                yield self.line("", "", _written(name), "", "", _written(more))
        else:
            yield from (f"{'':9}{_written(line)}" for line in (*names, sentence, *rest))

    def line(self, *cells: str) -> str:
        group, host, name, node, driver, verdict = cells
        nodes = (f"{node:>4}",) if self.with_node else ()
        whole = (f"{group:>5}", f"{host:12}", _cut(name, self.name), *nodes, _cut(driver, self.driver), verdict)
        return "  ".join(whole).rstrip()


def _name(one: PciFunction, room: int | None = None) -> str:
    """Where pci.ids has no name, that of its class; with the digits that a spec may say, where there is room."""
    name, digits = one.name or class_name(one.class_code), f"class {one.class_code}"
    whole = " ".join(filter(None, (one.id, name, None if one.name else digits)))
    return f"{one.id} {name}" if name and room is not None and len(whole) > room else whole


def called(one: PciFunction) -> tuple[str, ...]:
    """What the host knows it by: its disks, its interfaces."""
    disks = (f"{disk.name} {show_size(disk.size)}" if disk.size else disk.name for disk in one.disks)
    return (*disks, *(each.name for each in one.interfaces))


def _called(one: PciFunction) -> str:
    return ", ".join(name.replace(" ", _KEPT) for name in called(one))


def _whole_name(one: PciFunction) -> str:
    return ", ".join(filter(None, (_name(one), _called(one))))


def _written(text: str) -> str:
    return text.replace(_KEPT, " ")


def _cut(text: str, room: int) -> str:
    return f"{text if len(text) <= room else f'{text[: room - 1]}…':{room}}"


# ---- mediated devices ----


def mediated_rows(devices: Sequence[MediatedDevice]) -> Iterator[str]:
    """Whole: a UUID that is cut says nothing. `mdev: UUID` is all that a spec says."""
    yield "Mediated devices, which a spec names as `{mdev: UUID}`:"
    rows = [(f"{'-' if one.group is None else one.group:>5}", str(one.address), mediated_name(one)) for one in devices]
    yield from ("  ".join(row) for row in rows)


def parent_rows(parents: Sequence[MediatedParent]) -> Iterator[str]:
    yield "Mediated devices that can be made, as `{mdev: {parent: PARENT, type: TYPE}}`:"
    kinds = [(parent.name, kind) for parent in parents for kind in parent.types]
    width, length = (
        max(map(len, some), default=0) for some in ((one[0] for one in kinds), (one[1].name for one in kinds))
    )
    for name, kind in kinds:
        left = "" if kind.available is None else f"{kind.available} left"
        about = kind.label if kind.label != kind.name else None
        yield "  ".join(filter(None, (f"{name:{width}}", f"{kind.name:{length}}", left, about))).rstrip()


def mediated_name(one: MediatedDevice) -> str:
    """Drivers call a type by its name alone, or say more."""
    return (
        f"{one.type} {one.name} of {one.parent}" if one.name and one.name != one.type else f"{one.type} of {one.parent}"
    )


# ---- verdicts in words ----


def _words(one: PciFunction, verdict: Verdict | None) -> str:
    if verdict is None:
        return ""
    if verdict.bridge:
        return "a bridge"
    if verdict.problems:
        return f"no: {'; '.join(dict.fromkeys(_reason(one, problem) for problem in verdict.problems))}"
    if verdict.general:
        return "no: see the lines above" + (
            f"; and its spec must say {_wishes(one, verdict)}" if verdict.wishes else ""
        )
    if verdict.wishes:
        return f"if its spec says {_wishes(one, verdict)}"
    return "perhaps: not all could be read (W216)" if verdict.unread else "can be passed"


def _wishes(one: PciFunction, verdict: Verdict) -> str:
    used = f" ({one.uses[0].what})" if one.uses and "in-use" in verdict.wishes[-1] else ""
    return f"{', '.join(wish.replace(' ', _KEPT) for wish in verdict.wishes)}{used}"


def _reason(one: PciFunction, problem: Diagnostic) -> str:
    """What the host does with it, in its own words; else what the code means."""
    said = "\n".join((problem.message, *problem.evidence))
    uses = [use.what for use in one.uses if use.what in said]
    if uses:
        return f"in use: {', '.join(uses)}"
    known = explanation(problem.code)
    return f"{known.title if known else problem.message} ({problem.code})"


def _closing(host: HostFacts, functions: Sequence[PciFunction], verdicts: Mapping[PciAddress, Verdict]) -> str:
    if not functions:
        return "No PCI device of this kind." if host.pci else "No PCI device on this host."
    kinds = Counter(_kind(verdicts.get(one.address)) for one in functions)
    parts = [f"{number} {_singular(words, number)}" for words in _KINDS if (number := kinds[words])]
    return f"{count(len(functions), 'function')}: {', '.join(parts)}."


_KINDS = (
    "can be passed", "if the spec says so", "perhaps", "cannot be passed", "bridges or parts of the board",
    "not judged",
)  # fmt: skip


def _singular(words: str, number: int) -> str:
    return "bridge or part of the board" if (words, number) == (_KINDS[4], 1) else words


def _kind(verdict: Verdict | None) -> str:
    if verdict is None:
        return _KINDS[5]
    if verdict.bridge:
        return _KINDS[4]
    if verdict.problems or verdict.general:
        return _KINDS[3]
    if verdict.wishes:
        return _KINDS[1]
    return _KINDS[2] if verdict.unread else _KINDS[0]
