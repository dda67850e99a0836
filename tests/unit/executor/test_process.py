"""Why a process of ours failed, in words for who started it."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from launcher.executor.process import trace_of


def test_a_traceback_is_what_python_prints() -> None:
    try:
        raise LookupError("ä")
    except LookupError as error:
        trace = trace_of(error)
    assert trace.startswith("Traceback (most recent call last):\n")
    assert trace.endswith("LookupError: ä\n")


@pytest.mark.parametrize("before", [None, "1"])
def test_a_traceback_has_no_colours(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    """Python 3.13 asks the environment, whatever it prints to."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.delenv("PYTHON_COLORS", raising=False)
    if before:
        monkeypatch.setenv("PYTHON_COLORS", before)

    def prints(*_: Any) -> None:
        print(os.environ.get("PYTHON_COLORS"), file=sys.stderr)

    with monkeypatch.context() as patch:
        patch.setattr(sys, "__excepthook__", prints)
        assert trace_of(LookupError()) == "0\n"
    assert "\x1b" not in trace_of(LookupError())
    assert os.environ.get("PYTHON_COLORS") == before
