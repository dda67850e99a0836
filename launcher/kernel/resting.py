"""A process that waits most of the time: what only its start, or its last deed, needed is the host's again."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic

SETTLES = 1.0  # seconds after which nothing more is expected to follow


def give_back() -> None:
    """What this process has freed is the host's again, as far as whole pages of it are, and no code is mapped that it
    does not use again."""
    from launcher.native import lib

    lib.memory_give_back()


class Rest:
    """`woken` when there was something to do, `tick` in each turn; it waits no longer than `left` seconds until then.

    Once it rests it is woken by nobody: `left` is None.
    """

    def __init__(self) -> None:
        self._due: float | None = None

    def woken(self) -> None:
        self._due = monotonic() + SETTLES

    def left(self) -> float | None:
        return None if self._due is None else max(self._due - monotonic(), 0)

    def tick(self) -> None:
        if self._due is not None and monotonic() >= self._due:
            self._due = None
            with suppress(ImportError, OSError):  # what it takes may be gone since this process began: an update
                give_back()
