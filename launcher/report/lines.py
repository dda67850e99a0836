"""A stream in, how wide its lines are out; a text and a width in, its lines out."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TextIO

WIDE, NARROW = 100, 60
ENDLESS = sys.maxsize


def width_of(stream: TextIO) -> int:
    """A terminal's own; what goes elsewhere does not depend on a window."""
    columns = columns_of(stream)
    return WIDE if columns == ENDLESS else columns


def columns_of(stream: TextIO) -> int:
    """What goes elsewhere than to a terminal is read by programs: nothing of it is cut, and no sentence wrapped."""
    if not stream.isatty():
        return ENDLESS
    try:
        columns = os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError):
        columns = 0
    return max(columns or WIDE, NARROW)


def fitted(text: str, stream: TextIO) -> str:
    """As it is printed there: on a terminal no line is longer than that is wide, and none breaks inside a word."""
    return "\n".join(line for one in text.split("\n") for line in wrapped("", one, columns_of(stream)))


def wrapped(start: str, text: str, width: int, *, whole: bool = True) -> list[str]:
    """Like textwrap, but it keeps the blanks inside: steps align their words.

    `whole`: a word without room stays one, and sticks out: it may be a path that somebody copies.
    """
    lines, room = [], max(width - len(start), 1)
    while len(text) > room:
        cut = text.rfind(" ", 1, room + 1)
        if cut < 0:
            cut = text.find(" ", room) if whole else room
        if cut < 0:
            break
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [((start if n == 0 else " " * len(start)) + line).rstrip() for n, line in enumerate([*lines, text])]


def count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
