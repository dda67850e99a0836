"""What an engine said last in; lines for people out. An engine may have been taken over: its words are hostile."""

from __future__ import annotations

import re

from launcher.executor.ending import manner_of_death
from launcher.kernel.api import Engine

MOST_LINES, START, END = 5, 60, 135  # lines, and characters of each


def last_words(said: bytes) -> tuple[str, ...]:
    """At most five lines of a bounded length, without anything that a terminal would act on."""
    lines = [one for one in said.decode(errors="backslashreplace").splitlines() if one.strip()]
    return tuple(_short(_plain(one)) for one in lines[-MOST_LINES:])


def _short(line: str) -> str:
    """What is wrong stands at the end, behind what was asked of it."""
    return line if len(line) <= START + END else f"{line[:START]} ... {line[-END:]}"


def _plain(line: str) -> str:
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)


def said_by(engine: Engine) -> tuple[str, ...]:
    """In the paths of the plan, where it speaks of descriptors."""
    words = engine.listen().decode(errors="backslashreplace")
    paths = {str(fd): path for fd, path in engine.order.names}
    words = re.sub(r"/proc/self/fd/([0-9]+)(/\.)?", lambda found: paths.get(found[1], found[0]), words)
    return last_words(words.encode())


def ended_so(engine: Engine) -> str:
    """It has been reaped."""
    return manner_of_death(engine.status or 0)
