"""A process that waits gives back what it does not need to wait, once nothing has come for a while."""

from __future__ import annotations

import os
import select
import signal
import sys
from collections.abc import Iterator

import pytest

from launcher.kernel import resting
from launcher.kernel.resting import SETTLES, STIRRED, Rest


@pytest.fixture
def bell() -> Iterator[int]:
    """An event that a test rings."""
    descriptor = os.eventfd(0, os.EFD_CLOEXEC)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When a process lay down to rest."""
    found: list[float] = []

    def asleep(interests: dict[int, int], seconds: float | None) -> dict[int, int]:
        found.append(resting.monotonic())
        return real(interests, seconds)

    real = resting._asleep
    monkeypatch.setattr(resting, "_asleep", asleep)
    return found


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(resting, "monotonic", lambda: seconds)


def test_it_rests_once_nothing_has_come_for_a_while(
    monkeypatch: pytest.MonkeyPatch, given: list[float], bell: int
) -> None:
    at(monkeypatch, 10)
    rest = Rest()
    at(monkeypatch, 10 + SETTLES - 0.5)
    os.eventfd_write(bell, 1)
    assert rest.poll({bell: select.POLLIN}) == {bell: select.POLLIN}
    os.eventfd_read(bell)
    at(monkeypatch, 10 + SETTLES)
    assert (rest.poll({bell: select.POLLIN}, 0), given) == ({}, [])
    at(monkeypatch, 10 + 2 * SETTLES)
    os.eventfd_write(bell, 1)
    assert (rest.poll({bell: select.POLLIN}), given) == ({bell: select.POLLIN}, [10 + 2 * SETTLES])


def test_who_has_rested_stays_up_for_longer(monkeypatch: pytest.MonkeyPatch, given: list[float], bell: int) -> None:
    """A guest may say something every second."""
    at(monkeypatch, 0)
    rest = Rest()
    os.eventfd_write(bell, 1)
    now = SETTLES
    for _ in range(5):
        at(monkeypatch, now)
        assert rest.poll({bell: select.POLLIN}) == {bell: select.POLLIN}
        now += STIRRED - 1
    assert given == [SETTLES]
    at(monkeypatch, now + 1)
    assert rest.poll({bell: select.POLLIN}) == {bell: select.POLLIN}
    assert given == [SETTLES, now + 1]


def test_who_looks_again_soon_has_no_rest(monkeypatch: pytest.MonkeyPatch, given: list[float], bell: int) -> None:
    """A keeper whose guest writes all the time is not woken: it looks, and all its code would come back each time."""
    at(monkeypatch, 0)
    rest = Rest()
    for second in range(1, 5):
        at(monkeypatch, second * SETTLES)
        assert rest.poll({bell: select.POLLIN}, 0.001) == {}
    at(monkeypatch, 4.5 * SETTLES)
    assert (rest.poll({bell: select.POLLIN}, 0.001), given) == ({}, [])


def test_who_rests_hears_what_comes(monkeypatch: pytest.MonkeyPatch, given: list[float], bell: int) -> None:
    at(monkeypatch, 0)
    rest = Rest()
    at(monkeypatch, SETTLES)
    os.eventfd_write(bell, 1)
    assert rest.poll({bell: select.POLLIN, 1 << 20: select.POLLIN}) == {
        bell: select.POLLIN,
        1 << 20: select.POLLNVAL,
    }
    assert given == [SETTLES]


def test_who_rests_comes_back_in_time(monkeypatch: pytest.MonkeyPatch, given: list[float], bell: int) -> None:
    monkeypatch.setattr(resting, "SETTLES", 0.01)
    at(monkeypatch, 0)
    rest = Rest()
    at(monkeypatch, 0.01)
    assert rest.poll({bell: select.POLLIN}, 0.01) == {}
    assert (rest.poll({bell: select.POLLIN}, 0), given) == ({}, [0.01])


def test_a_signal_is_no_error(monkeypatch: pytest.MonkeyPatch, given: list[float], bell: int) -> None:
    heard: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda number, _: heard.append(number))
    try:
        at(monkeypatch, 0)
        rest = Rest()
        at(monkeypatch, SETTLES)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert rest.poll({bell: select.POLLIN}, 60) == {}
        assert (heard, len(given)) == ([signal.SIGALRM], 1)
    finally:
        signal.signal(signal.SIGALRM, before)


def test_an_update_that_took_what_it_needs_ends_nobody(monkeypatch: pytest.MonkeyPatch, bell: int) -> None:
    monkeypatch.setitem(sys.modules, "launcher.native", None)
    at(monkeypatch, 0)
    rest = Rest()
    at(monkeypatch, SETTLES)
    os.eventfd_write(bell, 1)
    assert rest.poll({bell: select.POLLIN}) == {bell: select.POLLIN}


def test_whoever_rests_has_no_code_mapped_but_what_waits(monkeypatch: pytest.MonkeyPatch, bell: int) -> None:
    """The interpreter's is megabytes. A child looks at us: we would map it again."""
    at(monkeypatch, 0)
    rest = Rest()
    at(monkeypatch, SETTLES)
    ours = os.getpid()
    awake = _mapped(ours)
    child = os.fork()
    if child == 0:
        try:
            signal.alarm(30)
            while _mapped(ours) > awake / 2:
                pass
        finally:
            os.eventfd_write(bell, 1)
            os._exit(0)
    assert rest.poll({bell: select.POLLIN}, 60) == {bell: select.POLLIN}
    os.waitpid(child, 0)


def _mapped(process: int) -> int:
    """KiB of files."""
    with open(f"/proc/{process}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssFile"))
