"""What an engine said last in; lines for people out. An engine may have been taken over: its words are hostile."""

from __future__ import annotations

from collections.abc import Mapping

from launcher.executor.ending import manner_of_death
from launcher.kernel.api import Engine

OWN = "/proc/self/fd/"
MOST_LINES, START, END = 5, 60, 135  # lines, and characters of each


def last_words(said: bytes) -> tuple[str, ...]:
    """At most five lines of a bounded length, without anything that a terminal would act on."""
    lines = [one for one in said.decode(errors="backslashreplace").splitlines() if one.strip()]
    return tuple(_short(_plain(one)) for one in lines[-MOST_LINES:])


def _short(line: str) -> str:
    """What is wrong stands at the end, behind what was asked of it."""
    return line if len(line) <= START + END else f"{line[:START]} ... {line[-END:]}"


def _plain(line: str) -> str:
    """As Python writes it; a codec that does would be imported, and a keeper that is confined imports nothing."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in line)


def said_by(engine: Engine) -> tuple[str, ...]:
    """In the paths of the plan, where it speaks of descriptors."""
    words = engine.listen().decode(errors="backslashreplace")
    paths = {str(fd): path for fd, path in engine.order.names}
    return last_words(_in_paths(words, paths).encode())


def _in_paths(words: str, paths: Mapping[str, str]) -> str:
    """What is behind a descriptor may be `/.`, which its path does not have."""
    first, *others = words.split(OWN)
    found = [first]
    for one in others:
        rest = one.lstrip("0123456789")
        number = one[: len(one) - len(rest)]
        found.append(paths[number] + rest.removeprefix("/.") if number in paths else OWN + one)
    return "".join(found)


def ended_so(engine: Engine) -> str:
    """It has been reaped."""
    return manner_of_death(engine.status or 0)
