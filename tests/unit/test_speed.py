"""Deadlines are multiples of how slow the machine is."""

from __future__ import annotations

import pytest

from tests import speed


def test_deadlines_follow_the_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(speed.VARIABLE, "4")
    assert speed.seconds(30) == 120
    assert speed.limit(long=True) > speed.limit(long=False) > 4 * speed.PATIENCE
    assert speed.after_boot(speed.BOOT) == 4
    assert speed.after_boot(5 * speed.BOOT) == 5


def test_a_machine_is_as_slow_as_its_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "FAST", 1e-9)
    assert speed.measured() == speed.MOST
    monkeypatch.setattr(speed, "FAST", 1e9)
    assert speed.measured() == 1
