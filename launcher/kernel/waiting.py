"""A descriptor in; whether it became readable, or its other end was closed, in time, out. And signals, kept away."""

from __future__ import annotations

import select
import signal

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def wait_for(descriptor: int, seconds: float, _whom: str = "") -> bool:
    """The plainest `Waits` of kernel.api: nothing is done meanwhile, and nobody told whom it waits for."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def ignore_stops() -> None:
    """In a child of the keeper: what is sent to all processes of a VM is the keeper's to hear, once."""
    signal.set_wakeup_fd(-1)
    for number in STOPS:
        signal.signal(number, signal.SIG_IGN)
