"""A process that waits gives back what it does not need to wait, once nothing has come for a while."""

from __future__ import annotations

import sys

import pytest

from launcher.kernel import resting
from launcher.kernel.resting import SETTLES, Rest


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When something was given back."""
    found: list[float] = []
    monkeypatch.setattr(resting, "give_back", lambda: found.append(resting.monotonic()))
    return found


def at(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(resting, "monotonic", lambda: seconds)


def test_it_rests_once_nothing_has_come_for_a_while(monkeypatch: pytest.MonkeyPatch, given: list[float]) -> None:
    rest = Rest()
    rest.tick()
    assert rest.left() is None
    at(monkeypatch, 10)
    rest.woken()
    at(monkeypatch, 10.5)
    rest.woken()
    rest.tick()
    assert (given, rest.left()) == ([], SETTLES)
    at(monkeypatch, 10.5 + SETTLES)
    assert rest.left() == 0
    rest.tick()
    assert given == [10.5 + SETTLES]


def test_who_rests_is_not_woken_for_it_again(monkeypatch: pytest.MonkeyPatch, given: list[float]) -> None:
    rest = Rest()
    at(monkeypatch, 0)
    rest.woken()
    at(monkeypatch, SETTLES)
    rest.tick()
    rest.tick()
    assert (len(given), rest.left()) == (1, None)


def test_an_update_that_took_what_it_needs_ends_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "launcher.native", None)
    rest = Rest()
    at(monkeypatch, 0)
    rest.woken()
    at(monkeypatch, SETTLES)
    rest.tick()
    assert rest.left() is None
