"""For pytest's summary: how long each part of the tests took, a part being a folder in tests/."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

_seconds: defaultdict[str, float] = defaultdict(float)
_tests: Counter[str] = Counter()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    began = time.monotonic()
    try:
        return (yield)
    finally:
        part = Path(item.nodeid.partition("::")[0]).parts[1]  # tests/kvm/test_lives.py -> kvm
        _seconds[part] += time.monotonic() - began
        _tests[part] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("parts")
    for part, seconds in _seconds.items():
        terminalreporter.line(f"{part:15} {_tests[part]:5} tests {seconds:7.1f} s")
