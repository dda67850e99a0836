"""(Host, tests) -> their reports: one boot, one pytest inside, whose reports come out as lines of JSON."""

from __future__ import annotations

import json
import os
import sys
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import pytest

from tests.lab.boot import INSIDE, Ended, Job, run
from tests.lab.hosts import HOSTS, Host
from tests.lab.packages import say

ROOT = Path(__file__).parent.parent.parent
LONG = "VMLAUNCH_LONG"  # set by `./dev test --long`: every host, not only those of every commit
SECONDS = 7200 if os.environ.get(LONG) else 1800  # for all tests of one host
HERE = "VMLAUNCH_LAB_HOST"  # set inside: the name of the host that this is
SANITIZED = "_native.abi3.so"  # in the folder of results: the C floor with sanitizers, for tests that are marked so
# What busy emulation does to a kernel: its processors lose each other, its timer is late.
FLAWS = ("softlockup", "soft lockup", "timer doesn't work")
STARTED, REPORT = "started", "report"


def here() -> Host | None:
    """The lab host that this process runs in."""
    return HOSTS.get(os.environ.get(HERE, ""))


class Writer:
    """Inside: what pytest says of its tests, as it happens."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._lines = open(f"{INSIDE}/reports", "w", buffering=1)  # noqa: SIM115

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write(STARTED, nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._write(REPORT, self._config.hook.pytest_report_to_serializable(config=self._config, report=report))

    def _write(self, kind: str, content: object) -> None:
        self._lines.write(json.dumps([kind, content]) + "\n")


@dataclass
class Session:
    """Outside: a session that has ended."""

    ended: Ended
    said: str
    started: set[str] = field(default_factory=set)
    told: bool = False  # the machine's last words are told once
    reports: defaultdict[str, list[pytest.TestReport]] = field(default_factory=lambda: defaultdict(list))

    def reports_of(self, item: pytest.Item) -> list[pytest.TestReport]:
        reports = self.reports[item.nodeid]
        if any(report.when == "teardown" for report in reports):
            return reports
        return [*reports, failed(item, self._why(item))]

    def _why(self, item: pytest.Item) -> str:
        if self.ended.lost:
            before = "while this test ran" if item.nodeid in self.started else "before this test could run"
            told, self.told = self.told, True
            return f"no verdict, {before}: {self.ended.lost.splitlines()[0] if told else self.ended.lost}"
        return f"the session inside ended with status {self.ended.status} and no report on this test\n{self.said}"


def hold(config: pytest.Config, host: Host, tests: list[str], work: Path, stdout: IO[bytes] | None) -> Session:
    """A machine that was lost to a known flaw of the emulation is started once more. Twice is a verdict."""
    session = _hold(config, host, tests, work, stdout)
    if not any(flaw in session.ended.lost for flaw in FLAWS):
        return session
    say(f"{host.name}: {session.ended.lost.splitlines()[0]}; once more")
    again = work / "again"
    again.mkdir()
    return _hold(config, host, tests, again, stdout)


def _hold(config: pytest.Config, host: Host, tests: list[str], work: Path, stdout: IO[bytes] | None) -> Session:
    ended = run(host, Job(_pytest(tests), ROOT, SECONDS, _environment(host)), work, stdout)
    results = work / "lab"
    session = Session(ended, "".join((results / name).read_text(errors="replace") for name in ("stdout", "stderr")))
    written = results / "reports"
    for line in written.read_text().splitlines(keepends=True) if written.exists() else ():
        if not line.endswith("\n"):
            break  # the machine was lost in the middle of it
        kind, content = json.loads(line)
        if kind == STARTED:
            session.started.add(content)
        else:
            report = config.hook.pytest_report_from_serializable(config=config, data=content)
            session.reports[report.nodeid].append(report)
    return session


def _environment(host: Host) -> dict[str, str]:
    return {HERE: host.name} | {name: os.environ[name] for name in (LONG,) if name in os.environ}


def _pytest(tests: list[str]) -> tuple[str, ...]:
    options = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", f"--junitxml={INSIDE}/junit.xml")
    return (sys.executable, "-m", "pytest", *options, "-vv", "-o", "faulthandler_timeout=120", *tests)


def failed(item: pytest.Item, text: str) -> pytest.TestReport:
    return pytest.TestReport(item.nodeid, item.location, item.keywords, "failed", text, "call")


def skipped(item: pytest.Item, reason: str) -> pytest.TestReport:
    path, line, _ = item.location
    return pytest.TestReport(item.nodeid, item.location, item.keywords, "skipped", (path, line or 0, reason), "setup")
