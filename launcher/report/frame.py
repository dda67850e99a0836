"""A place and the text around it in, the lines of a code frame out. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from launcher.errors import Where

MARGIN = 10  # columns that stay free for the line number and the signs of what is left out

_BREAK = r"\r\n|\r|\n"


def frame(where: Where, text: str, width: int) -> list[str]:
    """The line before, the line, and carets below the place; nothing if the text has no such line."""
    import re

    lines = re.split(_BREAK, text)
    if not 0 < where.line <= len(lines) or not any(lines):
        return []
    gutter = len(str(where.line))
    line = lines[where.line - 1]
    above = lines[where.line - 2] if where.line > 1 else ""
    start, shown = _window(line, where.column - 1, width - MARGIN)
    left = _columns(visible(line[start : where.column - 1])) + (start > 0)
    wanted = _columns(visible(line[where.column - 1 : where.end_column - 1]))
    carets = "^" * max(1, min(wanted, _columns(shown) - left))
    context = [f"{where.line - 1:>{gutter}} | {_window(above, 0, width - MARGIN)[1]}"] if above.strip() else []
    bar = f"{'':{gutter}} |"
    return [bar, *context, f"{where.line} | {shown}", f"{bar} {'':{left}}{carets}"]


def visible(text: str) -> str:
    """Nothing in it can steer a terminal or turn the text around; each character keeps one column."""
    if text.isascii() and text.isprintable():
        return text
    import unicodedata

    return "".join(" " if sign == "\t" else "\ufffd" if unicodedata.category(sign)[0] == "C" else sign for sign in text)


def shown(word: str) -> str:
    """The same of one word; one in which there is nothing to see stands in quotes."""
    return visible(word) if word.strip() else repr(word)


def _window(line: str, column: int, room: int) -> tuple[int, str]:
    """The part of a long line that has the column in it, and where that part starts."""
    start = max(0, column - room // 3) if len(line) > room and column > room // 2 else 0
    part = visible(line[start : start + room])
    return start, "…" * (start > 0) + part + "…" * (start + room < len(line))


def _columns(text: str) -> int:
    """How many columns a terminal gives it: two for wide characters, none for combining ones."""
    if text.isascii():
        return len(text)
    import unicodedata

    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)
