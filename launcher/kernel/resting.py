"""Descriptors in; which of them are ready, in time, out: of a process that waits most of the time.

What only its start, or its last deed, needed is the host's again while it does.
"""

from __future__ import annotations

from time import monotonic

from launcher.kernel.waiting import LONGEST, poll

SETTLES, STIRRED = 1.0, 5.0  # seconds after which nothing more is expected to follow: a start; what has come since


class Rest:
    """Once nothing has come for a while it waits in C: what this process has freed is the host's then, as far as whole
    pages of it are, and the interpreter's code is not mapped until something comes. To get up takes as long as what
    there is to do then: a guest that says something every second does not make it lie down each time."""

    def __init__(self) -> None:
        self._settles = SETTLES
        self._due = monotonic() + SETTLES

    def poll(self, interests: dict[int, int], seconds: float | None = None) -> dict[int, int]:
        """As waiting.poll; it may come back early, with nothing."""
        if seconds is not None and seconds < SETTLES:  # who looks again so soon has something to do
            self._due = monotonic() + self._settles
        left = self._due - monotonic()
        if left > 0:
            ready = poll(interests, left if seconds is None else min(left, seconds))
        else:
            ready, self._settles = _asleep(interests, seconds), STIRRED
        if ready or left <= 0:
            self._due = monotonic() + self._settles
        return ready


def _asleep(interests: dict[int, int], seconds: float | None) -> dict[int, int]:
    try:
        from launcher.native import ffi, lib
    except (ImportError, OSError):  # gone since this process began: an update
        return poll(interests, seconds)
    waits = ffi.new("struct pollfd[]", [{"fd": one, "events": events} for one, events in interests.items()])
    found = lib.memory_rest(waits, len(waits), -1 if seconds is None else int(min(seconds, LONGEST) * 1000) + 1)
    return {one.fd: one.revents for one in waits if one.revents} if found > 0 else {}
