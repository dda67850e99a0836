"""A Draft in, the text of a spec out: what is said as YAML, what is not as comments with their reasons. Pure.

Names, paths and reasons come out of somebody's file: none of them leaves its line, its comment or its quotes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from textwrap import wrap

from launcher.foreign.draft import Draft, Note
from launcher.spec.fields import as_yaml
from launcher.spec.short_forms import MAIN
from launcher.spec.yaml_words import is_plain_everywhere
from launcher.typed import Any

_Beside = dict[tuple[str, ...], list[Note]]
WIDTH = 100
_MOST = 60  # characters of one thing that is quoted in a comment
_SHOWN = 6  # things of one reason
_LOST = "Not in this spec, and why:"
_NEEDLESS = "Nothing needs to be written for:"


def spec_text(draft: Draft, file: str) -> str:
    """It ends with a line end."""
    beside = _by_place(draft.notes)
    lines = [*_head(draft, file), *_machine(draft, beside)]
    for kind, entries in draft.entries.items():
        if entries:
            lines += ["", f"{kind}:", *_entries(beside, kind, entries)]
    if draft.vsock is not False:
        lines += ["", f"vsock: {as_yaml(draft.vsock)}"]
    rest = beside.get((), [])
    lines += _listed(_LOST, [one for one in rest if one.lost])
    lines += _listed(_NEEDLESS, [one for one in rest if not one.lost])
    return "\n".join(lines) + "\n"


def _head(draft: Draft, file: str) -> Iterator[str]:
    whence = "from stdin" if file == "-" else _clean(file)
    told = f"By `vmlaunch import` of {draft.source}, {whence}. `vmlaunch plan` says what this host has to it."
    yield from _comment(told)
    yield ""


def _machine(draft: Draft, beside: _Beside) -> Iterator[str]:
    yield from _beside(beside, "", "name")
    if draft.name:
        yield f"name: {_value(draft.name)}"
    yield from _beside(beside, "", "boot")
    yield from _boot(draft)
    yield from _beside(beside, "", "cpus")
    count = draft.cpus.get("count")
    yield f"cpus: {count if set(draft.cpus) == {'count'} else _value(draft.cpus)}"
    yield from _beside(beside, "", "memory")
    yield from _memory(draft)


def _boot(draft: Draft) -> Iterator[str]:
    if not draft.boot:
        yield f"boot: {draft.firmware}"
        return
    yield "boot:"
    yield from (f"  {key}: {_value(value)}" for key, value in draft.boot.items())


def _memory(draft: Draft) -> Iterator[str]:
    match draft.memory:
        case []:
            return
        case [bank] if set(bank) == {"size"}:
            yield f"memory: {bank['size']}"
        case banks:
            yield "memory:"
            yield from (f"  - {_value(bank)}" for bank in banks)


def _entries(beside: _Beside, kind: str, entries: Mapping[str, dict[str, Any]]) -> Iterator[str]:
    for alias, entry in entries.items():
        yield from _beside(beside, "  ", kind, alias)
        yield from _entry(kind, alias, entry)


def _entry(kind: str, alias: str, entry: dict[str, Any]) -> Iterator[str]:
    key, main = _value(alias), MAIN.get(kind, "")
    if set(entry) == {main} and isinstance(entry[main], str):
        yield f"  {key}: {_value(entry[main])}"
    elif kind == "nics" and entry == {"user": True}:
        yield f"  {key}: user"
    elif len(line := f"  {key}: {_value(entry)}") <= WIDTH:
        yield line
    else:
        yield f"  {key}:"
        yield from (f"    {name}: {_value(value)}" for name, value in entry.items())


def _value(value: Any) -> str:
    """On one line, for any reader of YAML."""
    return as_yaml(value, inside=True, is_plain=is_plain_everywhere)


# ---- comments ----


def _by_place(notes: Iterable[Note]) -> _Beside:
    found: _Beside = {}
    for one in notes:
        found.setdefault(one.beside, []).append(one)
    return found


def _beside(beside: _Beside, indent: str, *place: str) -> Iterator[str]:
    for together in _by_reason(beside.get(place, ())):
        yield from _comment(f"{_names(together)}: {_why(together[0])}", indent)


def _listed(title: str, notes: Iterable[Note]) -> Iterator[str]:
    reasons = _by_reason(notes)
    if reasons:
        yield ""
        yield f"# {title}"
    for together in reasons:
        yield from _comment(f"- {_names(together)}: {_why(together[0])}", hanging="  ")


def _by_reason(notes: Iterable[Note]) -> list[list[Note]]:
    """In the order of the file."""
    found: dict[str, list[Note]] = {}
    for one in notes:
        found.setdefault(one.why, []).append(one)
    return list(found.values())


def _names(together: list[Note]) -> str:
    lines: dict[str, dict[int, None]] = {}
    for one in together:
        lines.setdefault(_what(one), {})[one.line] = None
    told = [f"{what} (line{'s' * (len(at) > 1)} {_numbers(list(at))})" for what, at in lines.items()]
    more = f" and {len(told) - _SHOWN} more" if len(told) > _SHOWN else ""
    return ", ".join(told[:_SHOWN]) + more


def _numbers(lines: list[int]) -> str:
    return ", ".join(map(str, lines[:_SHOWN])) + (f" and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else "")


def _what(one: Note) -> str:
    return _clean(one.what)


def _why(one: Note) -> str:
    return _clean(one.why, 400)


def _clean(text: str, most: int = _MOST) -> str:
    """Of somebody's words nothing that ends a comment, or that a reader could not see."""
    plain = "".join(sign if sign.isprintable() else " " for sign in text[: most * 2])
    plain = " ".join(plain.split())
    return plain if len(plain) <= most else f"{plain[: most - 3]}..."


def _comment(text: str, indent: str = "", hanging: str = "") -> Iterator[str]:
    first = f"{indent}# "
    lines = wrap(text, WIDTH - len(first), subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False)
    yield from (f"{first}{line}" for line in lines)
