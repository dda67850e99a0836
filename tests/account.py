"""What pytest says of its tests, written down as it happens: lines of JSON that outlive its process.

`Account` reads them. The plugin writes them, and what an earlier process wrote before it died it reports again instead
of running it: so the last process of a session has all of it in its summary.
"""

from __future__ import annotations

import faulthandler
import json
import os
from collections.abc import Callable, Generator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "VMLAUNCH_ACCOUNT"  # set by tests/again.py: the file
NAME = "account"  # of the plugin that writes
BEGAN, STARTED, REPORT, FINISHED, DIED, ENDED = "began", "started", "report", "finished", "died", "ended"
ONCE_MORE = "once more"  # a test runs again: pytest itself failed in the middle of it
BESIDE, OVER = "beside", "over"  # asks tests/again.py for another session; that one has ended
LINES = 40  # of the last words of a process
WITHOUT_HYPOTHESIS = ("-p", "no:hypothesispytest")  # its plugin takes a second of each pytest, and tells statistics


def last_words(account: Path) -> Path:
    """Where a process that dies leaves what faulthandler says, or pytest of its own failure."""
    return account.with_name(f"{account.name}.last-words")


class Account:
    """Is written to like a file; a piece of a line waits for its other half. `see` is called for each line."""

    def __init__(self, see: Callable[[str, Any], None] = lambda kind, content: None) -> None:
        self.running: str | None = None
        self.limit = 0.0  # seconds that the test which runs may take, 0: any
        self.ended = False  # the last process came to its end
        self.reports: dict[str, list[dict[str, Any]]] = {}
        self.finished: set[str] = set()
        self.died: dict[str, str] = {}  # tests that a process died of -> how
        self.lines = 0
        self._see, self._rest = see, b""

    @classmethod
    def of(cls, path: Path) -> Account:
        made = cls()
        if path.exists():
            made.write(path.read_bytes())
        return made

    def write(self, content: bytes) -> None:
        *lines, self._rest = (self._rest + content).split(b"\n")
        for line in lines:
            try:
                kind, words = json.loads(line)
            except ValueError:
                continue  # who wrote it died in the middle of it
            self.lines += 1
            self._take(kind, words)
            self._see(kind, words)

    def flush(self) -> None:
        """A file has that, too."""

    def _take(self, kind: str, content: Any) -> None:
        if kind == BEGAN:
            self.running, self.ended = None, False
        elif kind == STARTED:
            self.running, self.limit = content
            self.reports[content[0]] = []
        elif kind == REPORT:
            self.reports.setdefault(content["nodeid"], []).append(content)
        elif kind == FINISHED:
            self.running = None
            self.finished.add(content)
        elif kind == DIED:
            self.running = None
            self.died |= dict([content])
        elif kind == ONCE_MORE:
            self.running = None
        elif kind == ENDED:
            self.ended = True

    def reports_of(self, item: pytest.Item) -> list[pytest.TestReport] | None:
        """None when it is still to run, or runs."""
        if item.nodeid not in self.died and item.nodeid not in self.finished:
            return None
        told = [self._report(item.config, one) for one in self.reports.get(item.nodeid, ())]
        return [*told, failed(item, self.died[item.nodeid])] if item.nodeid in self.died else told

    def _report(self, config: pytest.Config, words: dict[str, Any]) -> pytest.TestReport:
        """Pytest makes a report of the very words that it is given: they are copied, to be asked for again."""
        report = config.hook.pytest_report_from_serializable(config=config, data=deepcopy(words))
        assert isinstance(report, pytest.TestReport)
        if isinstance(report.longrepr, list):  # JSON has no tuples: where a test was skipped, and why
            report.longrepr = tuple(report.longrepr)
        return report


def pulse(account: Path) -> Path:
    """What grows while the process that watches pytest lives."""
    return account.with_name("pulse")


def append(account: Path, kind: str, content: object) -> None:
    """The line before may have been left unfinished."""
    with account.open("a") as lines:
        lines.write(f"\n{json.dumps([kind, content])}\n")


def failed(item: pytest.Item, text: str) -> pytest.TestReport:
    return pytest.TestReport(item.nodeid, item.location, dict.fromkeys(item.keywords, 1), "failed", text, "call")


def tell(item: pytest.Item, reports: list[pytest.TestReport]) -> None:
    """In place of running it."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in reports:
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def limit_of(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


class Writer:
    def __init__(self, config: pytest.Config, path: Path) -> None:
        self.path, self._config = path, config
        self._earlier = Account.of(path)
        self._lines = path.open("a", buffering=1)
        self._crash = last_words(path).open("w")
        self.write(BEGAN, None)

    def pytest_sessionstart(self) -> None:
        faulthandler.enable(self._crash)  # after pytest's own, which says it where nobody looks

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Who is registered last is asked first: before anybody boots a machine."""
        session.config.pluginmanager.register(Teller(self._earlier))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        if self.knows(item.nodeid):
            return (yield)
        self.write(STARTED, [item.nodeid, limit_of(item)])
        done = yield
        self.write(FINISHED, item.nodeid)
        return done

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if not self.knows(report.nodeid):
            self.write(REPORT, self._config.hook.pytest_report_to_serializable(config=self._config, report=report))

    def pytest_internalerror(self, excrepr: object) -> None:
        """What failed is said at the end."""
        self._crash.write("\n".join(str(excrepr).splitlines()[-LINES:]))
        self._crash.flush()

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus != pytest.ExitCode.INTERNAL_ERROR:
            self.write(ENDED, int(exitstatus))

    def knows(self, nodeid: str) -> bool:
        """From an earlier process."""
        return nodeid in self._earlier.finished or nodeid in self._earlier.died

    def write(self, kind: str, content: object) -> None:
        self._lines.write(json.dumps([kind, content]) + "\n")


class Teller:
    def __init__(self, earlier: Account) -> None:
        self._earlier = earlier

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> bool | None:
        reports = self._earlier.reports_of(item)
        if reports is None:
            return None
        tell(item, reports)
        return True


def pytest_configure(config: pytest.Config) -> None:
    if path := os.environ.pop(VARIABLE, None):
        config.pluginmanager.register(Writer(config, Path(path)), NAME)


def is_known(item: pytest.Item) -> bool:
    """It has run in an earlier process of this session."""
    writer = item.config.pluginmanager.get_plugin(NAME)
    return isinstance(writer, Writer) and writer.knows(item.nodeid)
