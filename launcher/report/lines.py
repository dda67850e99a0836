"""A stream in, how wide its lines are out; a text and a width in, its lines out."""

from __future__ import annotations

import os
from typing import TextIO

WIDE, NARROW = 100, 60


def width_of(stream: TextIO) -> int:
    """A terminal's own, within reason; what goes elsewhere does not depend on a window."""
    try:
        columns = os.get_terminal_size(stream.fileno()).columns if stream.isatty() else 0
    except (OSError, ValueError):
        columns = 0
    return min(max(columns or WIDE, NARROW), WIDE)


def wrapped(start: str, text: str, width: int) -> list[str]:
    """Like textwrap, but it keeps the blanks inside: steps align their words."""
    lines, room = [], max(width - len(start), 1)
    while len(text) > room:
        cut = text.rfind(" ", 1, room + 1)
        cut = room if cut < 0 else cut
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [((start if n == 0 else " " * len(start)) + line).rstrip() for n, line in enumerate([*lines, text])]
