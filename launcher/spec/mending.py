"""A spec's text and who judges it in, the text with every fix that mends it out, and which these were. Pure.

Only what is underlined is written over, so comments, order and line ends stay as they are. A fix is kept if the text
has fewer problems with it and no new one, whatever offered it.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from launcher.patterns import re
from launcher.record import record
from launcher.spec.yaml_tree import read_tree
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from launcher.errors import Diagnostic

    _Step = tuple[str, Sequence[Diagnostic], list["Fixed"]]  # the text, what is wrong with it yet, what was written

Judge = Callable[[str], "Sequence[Diagnostic]"]

_A_LINE = "E129"  # its fix is a line that is added
_MOST = 100  # fixes of one file at a time
_LINE = r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$"
_START = r"(?:---[ \t]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))?"


@record
class Fixed:
    """What stood at the place of a diagnostic, and what stands there now. Nothing stood where a line was added."""

    diagnostic: Diagnostic
    before: str
    after: str


def mended(text: str, judge: Judge) -> tuple[str, tuple[Fixed, ...]]:
    """`judge` says what is wrong with a text."""
    done: list[Fixed] = []
    found, is_json = judge(text), _is_json(text)
    while len(done) < _MOST:
        step = _at_once(text, found, judge, is_json) or next(_steps(text, found, judge, is_json), None)
        if step is None:
            break
        text, found, fixed = step
        done += fixed
    return text, tuple(done)


def _at_once(text: str, found: Sequence[Diagnostic], judge: Judge, is_json: bool) -> _Step | None:
    """All fixes that write something over, if all of them take their problems away: to judge a text takes long."""
    fixed: list[Fixed] = []
    mended: list[Diagnostic] = []
    line, column = 0, 0
    for one in sorted(filter(_writes_over, found), key=_place, reverse=True)[:_MOST]:  # what is before it stays there
        where = one.where
        if where is None or (where.line == line and where.end_column > column):
            return None  # two are about the same words
        written = _written(text, one, is_json)
        if written is None:
            return None
        text, line, column = written[0], where.line, where.column
        fixed.append(written[1])
        mended.append(one)
    if len(fixed) < 2:
        return None
    after, before = judge(text), _marks(found)
    left = _marks(after)
    return (text, after, fixed[::-1]) if left < before and not left & _marks(mended) else None


def _writes_over(one: Diagnostic) -> bool:
    return one.fix is not None and one.code != _A_LINE and one.where is not None and not one.where.is_set


def _place(one: Diagnostic) -> tuple[int, int]:
    return (one.where.line, one.where.column) if one.where else (0, 0)


def _steps(text: str, found: Sequence[Diagnostic], judge: Judge, is_json: bool) -> Iterator[_Step]:
    before = _marks(found)
    for one in found:
        written = _written(text, one, is_json)
        if written is not None:
            after = judge(written[0])
            if _marks(after) < before:
                yield written[0], after, [written[1]]


def _marks(found: Sequence[Diagnostic]) -> set[tuple[str, str]]:
    return {(one.code, one.where.path if one.where else "") for one in found}


def _written(text: str, one: Diagnostic, is_json: bool) -> tuple[str, Fixed] | None:
    where = one.where
    if one.fix is None or where is None or where.is_set or not where.line:
        return None
    if one.code == _A_LINE:
        return _with_line(text, one, one.fix)
    lines = re.findall(_LINE, text)
    if where.line > len(lines):
        return None
    line, fix = lines[where.line - 1], _in_json(one.fix) if is_json else one.fix
    start, end = where.column - 1, where.end_column - 1
    lines[where.line - 1] = line[:start] + fix + line[end:]
    return "".join(lines), Fixed(one, line[start:end], fix)


def _with_line(text: str, one: Diagnostic, fix: str) -> tuple[str, Fixed]:
    """Below the mark that a document begins with, and with the line ends of the file."""
    start = re.match(_START, text)
    at = start.end() if start else 0
    ending = "\r\n" if "\r\n" in text else "\n"
    return f"{text[:at]}{fix}{ending}{text[at:]}", Fixed(one, "", fix)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _in_json(fix: str) -> str:
    """What is JSON stays JSON: a program will read it again."""
    root = read_tree(fix, "").root
    return fix if root is None else json.dumps(root.plain(), ensure_ascii=False)
