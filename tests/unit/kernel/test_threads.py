"""A thread that the host has, one that it refuses, and one that never comes to its first line, or too late."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread, get_ident

import pytest

from launcher.kernel import threads


def test_a_deed_is_done_by_another_thread() -> None:
    done: list[int] = []
    one = threads.start(lambda: done.append(get_ident()))
    one.join()
    assert not one.is_alive()
    assert done != [get_ident()]


def test_a_thread_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads, "start_new_thread", none_left)
    with pytest.raises(BlockingIOError, match="pthread_create"):
        threads.start(lambda: None)


def test_a_thread_that_comes_too_late_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for it any more, and what it would work on may be gone."""
    late: list[Callable[[], None]] = []
    done: list[int] = []
    monkeypatch.setattr(threads, "start_new_thread", lambda run, _: late.append(run))
    monkeypatch.setattr(threads, "PATIENCE", 0.01)
    with pytest.raises(BlockingIOError, match="pthread_create"):
        threads.start(lambda: done.append(1))
    other = Thread(target=late[0])
    other.start()
    other.join()
    assert done == []
