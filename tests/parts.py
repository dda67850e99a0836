"""For pytest's summary: how long the tests of each part took, a part being a folder in tests/; two may run at once."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

_seconds: defaultdict[str, float] = defaultdict(float)
_tests: defaultdict[str, set[str]] = defaultdict(set)


def part_of(nodeid: str) -> str:
    """tests/kvm/test_lives.py::test_it -> kvm"""
    return "".join(Path(nodeid.partition("::")[0]).parts[1:2])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    part = part_of(report.nodeid)
    _seconds[part] += report.duration
    _tests[part].add(report.nodeid)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("parts")
    for part, seconds in _seconds.items():
        terminalreporter.line(f"{part:15} {len(_tests[part]):5} tests {seconds:7.1f} s")
