"""Signals that stop what we do in; held until somebody hears them, or as they were, out."""

from __future__ import annotations

from contextlib import contextmanager

from launcher.signals import signal
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@contextmanager
def signals_held() -> Iterator[Callable[[], None]]:
    """One that comes inside is there when what is given is called, or behind."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)

    def let_come() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

    try:
        yield let_come
    finally:
        let_come()


@contextmanager
def signals_as_before() -> Iterator[None]:
    """Around whoever tells how a VM of ours ended: `follow` leaves signals that stop without effect when it has."""
    before = {number: signal.getsignal(number) for number in STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
