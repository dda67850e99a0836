"""Whom a command waits for in; a line on stderr that says so, when it takes longer than one would think, out."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = 3.0  # seconds until it is said for the first time
TICK = 1.0  # and again, where the line can be written over; elsewhere after twice the time


class Waiting:
    """`whom` is asked each time anew; `limit`, in seconds from now, may change."""

    def __init__(self, limit: float, whom: Callable[[], str]) -> None:
        self.limit, self._whom = limit, whom
        self._began, self._next, self._wide = monotonic(), FIRST, 0

    @property
    def waited(self) -> float:
        return monotonic() - self._began

    def go_on(self) -> bool:
        """To be asked again and again. False: the time is over."""
        if self.waited >= self._next:
            self._say(f"waiting for {self._whom()}; {self.waited:.0f} s, at most {self.limit:.0f} s")
        return self.waited < self.limit

    def _say(self, line: str) -> None:
        if sys.stderr.isatty():
            print(f"\r{line:{self._wide}}", end="", file=sys.stderr, flush=True)
            self._next, self._wide = self.waited + TICK, len(line)
        else:
            print(line, file=sys.stderr, flush=True)
            self._next = 2 * self.waited

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        if self._wide:
            print(file=sys.stderr)
