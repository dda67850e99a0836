"""Whom a command waits for in; a line on stderr that says so, when it takes longer than one would think, out."""

from __future__ import annotations

import sys

from launcher.api.reaching import Waiting
from launcher.cli.terminal import can_redraw
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = 3.0  # seconds until it is said for the first time
TICK = 1.0  # and again, where the line can be written over; elsewhere after twice the time


class ToldWaiting(Waiting):
    """The person at the terminal is told."""

    def __init__(self, limit: float, whom: Callable[[], str]) -> None:
        super().__init__(limit, whom)
        self._next, self._wide = FIRST, 0

    def go_on(self) -> bool:
        if self.waited >= self._next:
            self._say(f"waiting for {self.whom()}; {self.waited:.0f} s, at most {self.limit:.0f} s")
        return super().go_on()

    def _say(self, line: str) -> None:
        if can_redraw(sys.stderr):
            print(f"\r{line:{self._wide}}", end="", file=sys.stderr, flush=True)
            self._next, self._wide = self.waited + TICK, len(line)
        else:
            print(line, file=sys.stderr, flush=True)
            self._next = 2 * self.waited

    def __exit__(self, *_: object) -> None:
        if self._wide:
            print(file=sys.stderr)
