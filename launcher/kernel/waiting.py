"""Descriptors in; which of them are ready, in time, out. And signals, kept away."""

from __future__ import annotations

import select

from launcher.signals import signal

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
LONGEST = 24 * 3600.0  # seconds of any wait


def poll(interests: dict[int, int], seconds: float | None = None) -> dict[int, int]:
    """Of descriptors and events that are waited for, those that have come; none when the time is over."""
    waiting = select.poll()
    for descriptor, events in interests.items():
        waiting.register(descriptor, events)
    return dict(waiting.poll(None if seconds is None else min(seconds, LONGEST) * 1000))


def wait_for(descriptor: int, seconds: float, _whom: str = "") -> bool:
    """The plainest `Waits` of kernel.api: nothing is done meanwhile, and nobody told whom it waits for."""
    return bool(poll({descriptor: select.POLLIN}, seconds))


def ignore_stops() -> None:
    """In a child of the keeper: what is sent to all processes of a VM is the keeper's to hear, once."""
    signal.set_wakeup_fd(-1)
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
