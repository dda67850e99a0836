"""Diagnostics and the sources they point into in, text or GitHub workflow commands out. Pure."""

from __future__ import annotations

from launcher.patterns import re
from launcher.report.frame import frame, visible
from launcher.report.lines import ENDLESS, WIDE, wrapped
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from launcher.errors import Diagnostic

RED, YELLOW, BLUE, BOLD, PLAIN = "\033[1;31m", "\033[1;33m", "\033[1;34m", "\033[1m", "\033[0m"
LONGEST = 400


def as_text(
    diagnostics: Iterable[Diagnostic],
    sources: Mapping[str, str],
    *,
    colour: bool = False,
    width: int = ENDLESS,
    page: str = "",
) -> str:
    """One block for each, with an empty line between them. `sources` are the texts of the files, by name.

    A terminal breaks lines within words, so sentences are wrapped for its `width`; a recorded one is whole. Codes lead
    to the `page` on which they are explained, if it has an address.
    """
    blocks = ((one, _block(one, sources, colour, width)) for one in diagnostics)
    return "\n\n".join("\n".join(_linked(one, lines, page) if page else lines) for one, lines in blocks)


def _linked(one: Diagnostic, lines: list[str], page: str) -> list[str]:
    """By OSC 8 (gist.github.com/egmontkob/eb114294efbcd5adb1944c9f3cb5feda), which has no width."""
    from launcher.codes import explanation

    if (known := explanation(one.code)) is None:
        return lines
    label = f"{one.severity}[{one.code}]"
    link = f"\033]8;;{page}#{anchor(known.code, known.title)}\033\\{label}\033]8;;\033\\"
    return [lines[0].replace(label, link, 1), *lines[1:]]


def anchor(code: str, title: str) -> str:
    """Of a heading, as GitHub and most readers of Markdown make it."""
    from urllib.parse import quote  # for links only

    kept = re.sub(r"[^\w\- ]", "", f"{code}: {title}".lower())
    return quote(kept.replace(" ", "-"))


def _block(one: Diagnostic, sources: Mapping[str, str], colour: bool, width: int) -> list[str]:
    tint = YELLOW if one.severity == "warning" else RED
    label = f"{one.severity}[{visible(one.code)}]"
    first, *rest = _lines(f"{label}: ", one.message, width)
    head = _tinted(label, tint, colour) + _tinted(first.removeprefix(label), BOLD, colour)
    place, gutter = _place(one, sources, colour, tint, width)
    notes = (line for note in _notes(one) for line in _note(note, gutter, colour, width))
    return [head, *(_tinted(line, BOLD, colour) for line in rest), *place, *notes]


def _lines(start: str, text: str, width: int) -> list[str]:
    return wrapped(start, _said(text), width)


def _place(one: Diagnostic, sources: Mapping[str, str], colour: bool, tint: str, width: int) -> tuple[list[str], str]:
    where = one.where
    if where is None or not where.file:
        return [], " "
    gutter = " " * max(1, len(str(where.line)))
    drawn = frame(where, sources.get(where.file, ""), WIDE if width == ENDLESS else width)
    arrow = f"{gutter}{_tinted('-->', BLUE, colour)} {visible(str(where))}"
    return [arrow, *(_drawn(line, len(gutter), colour, tint) for line in drawn)], gutter


def _drawn(line: str, gutter: int, colour: bool, tint: str) -> str:
    """The line number and the bar are blue, the carets are red or yellow."""
    start, rest = line[: gutter + 2], line[gutter + 2 :]
    carets = rest.strip() and not rest.strip("^ ") and not start.strip("| ")
    return _tinted(start, BLUE, colour) + (_tinted(rest, tint, colour) if carets else rest)


def _notes(one: Diagnostic) -> list[str]:
    """A fix that no help speaks of becomes a help."""
    told = one.fix is None or any(one.fix in line for line in one.help)
    helps = one.help if told else (*one.help, f"write `{one.fix}`")
    return [*one.evidence, *(f"help: {line}" for line in helps)]


def _note(text: str, gutter: str, colour: bool, width: int) -> Iterator[str]:
    start = f"{gutter} = "
    for line in _lines(start, text, width):
        sign = _tinted("=", BLUE, colour) if line.startswith(start) else " "
        yield f"{gutter} {sign} {line[len(start) :]}"


def _said(text: str) -> str:
    """A message may quote the file, and the file may hold anything of any length."""
    return visible(text if len(text) <= LONGEST else text[:LONGEST] + "…")


def _tinted(text: str, tint: str, colour: bool) -> str:
    return f"{tint}{text}{PLAIN}" if colour and text else text


def closing(diagnostics: Sequence[Diagnostic], ending: str, spec: str = "") -> str:
    """`vm.yaml: 1 error, 2 warnings; nothing was changed`. What is wrong with a --set is wrong with the `spec`."""
    places = (one.where for one in diagnostics if one.where and one.where.file)
    files = sorted({spec if spec and where.is_set else where.file for where in places})
    subject = f"{visible(files[0])}: " if len(files) == 1 else f"{len(files)} files: " if files else ""
    strict = "" if any(one.severity == "error" for one in diagnostics) else ", and --strict makes them block"
    return f"{subject}{counted(diagnostics)}{strict}{ending and f'; {ending}'}"


def more_about(diagnostics: Iterable[Diagnostic]) -> str:
    """Where their codes are explained; the next to be copied if there is one code only."""
    codes = dict.fromkeys(visible(one.code) for one in diagnostics)
    code = next(iter(codes)) if len(codes) == 1 else "CODE"
    return f"`vmlaunch explain {code}` says more."


def counted(diagnostics: Sequence[Diagnostic]) -> str:
    numbers = {word: sum(one.severity == word for one in diagnostics) for word in ("error", "warning")}
    return (
        ", ".join(f"{number} {word}{'s' * (number != 1)}" for word, number in numbers.items() if number) or "no errors"
    )


def as_github(diagnostics: Iterable[Diagnostic]) -> str:
    """Workflow commands, one a line (docs.github.com, "Workflow commands for GitHub Actions")."""
    return "\n".join(_command(one) for one in diagnostics)


def _command(one: Diagnostic) -> str:
    where = one.where
    places = {
        "file": where.file if where else "",
        "line": str(where.line or "") if where else "",
        "col": str(where.column or "") if where else "",
        "endColumn": str(max(where.column, where.end_column - 1) or "") if where else "",
        "title": one.code,
    }
    properties = ",".join(f"{key}={_escaped(visible(value), ':,')}" for key, value in places.items() if value)
    message = "\n".join(visible(line) for text in (one.message, *_notes(one)) for line in text.split("\n"))
    return f"::{one.severity} {properties}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    """What actions/toolkit does in command.ts: % first, then line breaks, in properties also : and ,"""
    for sign in "%\r\n" + more:
        text = text.replace(sign, f"%{ord(sign):02X}")
    return text
