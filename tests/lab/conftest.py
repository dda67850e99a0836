"""Tests in `inside/` run in lab hosts: here, outside, each of them is reported as if it had run here.

All chosen tests of a host share one boot, made when the first of them is due.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.account import failed, is_known, tell
from tests.lab.boot import LOST, Sink
from tests.lab.hosts import SHORT_ROUND, Host
from tests.lab.packages import Missing, Unavailable
from tests.lab.progress import Progress
from tests.lab.session import LAB, LONG, SANITIZED, Session, here, hold, skipped
from tests.native.build import sanitized_module


class Lab:
    """The sessions that were held so far, or why one could not be."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self.held: dict[Host, Session | Missing] = {}
        self._factory = factory

    def reports_of(self, item: pytest.Item, host: Host) -> list[pytest.TestReport]:
        if host not in self.held:
            self.held[host] = self._hold(item, host)
        held = self.held[host]
        if isinstance(held, Unavailable):
            return [skipped(item, str(held))]
        return [failed(item, str(held))] if isinstance(held, Missing) else held.reports_of(item)

    def _hold(self, item: pytest.Item, host: Host) -> Session | Missing:
        tests = [other for other in item.session.items if host_of(other) is host and not is_known(other)]
        capture = item.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            progress = Progress(host.name, sys.stdout)
            sinks: dict[str, Sink | None] = {"stdout": sys.stdout.buffer} if item.config.option.verbose > 0 else {}
            work = self._factory.mktemp(host.name)
            try:
                _hand_over(tests, work)
                return hold(host, [one.nodeid for one in tests], work, progress, sinks)
            except Missing as why:
                return why


def _hand_over(tests: list[pytest.Item], work: Path) -> None:
    """A compiler in emulation takes ten times as long."""
    if any(one.get_closest_marker("sanitized") for one in tests):
        results = work / "lab"
        results.mkdir()
        sanitized_module(results / SANITIZED)


TESTS = Path(__file__).parent / "inside"
KEY = pytest.StashKey[Lab]()


def host_of(item: pytest.Item) -> Host | None:
    """The lab host that a test is to run in."""
    if TESTS not in item.path.parents:
        return None
    host = item.callspec.params.get("host") if isinstance(item, pytest.Function) and hasattr(item, "callspec") else None
    return host if isinstance(host, Host) else None


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab: needs QEMU, and what the lab fetches")
    config.addinivalue_line("markers", "host(name, ...): the lab hosts that a test in inside/ is for; without it, all")
    config.addinivalue_line("markers", "long: belongs to ./dev test --long")
    config.addinivalue_line("markers", "short: of those in inside/, belongs to ./dev test, in one host and one boot")
    config.addinivalue_line("markers", "sanitized: uses the C floor built with sanitizers, which is built outside")


def pytest_itemcollected(item: pytest.Item) -> None:
    host = host_of(item)
    if host is None:
        return
    item.add_marker("lab")
    if host is not SHORT_ROUND:
        item.own_markers = [marker for marker in item.own_markers if marker.name != "short"]
    if not here():
        item.add_marker(pytest.mark.timeout(0))  # the first of a host would be charged for all of them


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    out = [item for item in items if not _due(item)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in set(out)]


def _due(item: pytest.Item) -> bool:
    host, inside, long = host_of(item), here(), bool(os.environ.get(LONG))
    if inside:
        return host is inside
    if long or item.get_closest_marker("long"):
        return long
    return host is None or bool(item.get_closest_marker("short") or (host.every_commit and os.environ.get(LAB)))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    host = host_of(item)
    if host is None or here():
        return None
    factory = pytest.TempPathFactory.from_config(item.config, _ispytest=True)
    lab = item.config.stash.setdefault(KEY, Lab(factory))
    tell(item, lab.reports_of(item, host))
    return True


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    held = session.config.stash[KEY].held.values() if KEY in session.config.stash else ()
    if any(isinstance(one, Session) and one.without_verdict for one in held):
        session.exitstatus = LOST


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if KEY not in config.stash:
        return
    terminalreporter.section("lab hosts")
    for host, held in config.stash[KEY].held.items():
        terminalreporter.line(f"{host.name:17} {_summary(held)}")


def _summary(held: Session | Missing) -> str:
    if isinstance(held, Missing):
        return f"{'skipped' if isinstance(held, Unavailable) else 'failed'}: {held}"
    seconds, ended = sum(boot.ended.seconds for boot in held.boots), held.ended
    lost = f"; {len(held.boots)} machines" if len(held.boots) > 1 else ""
    lost += "; the machine was lost" if ended.lost else ""
    return f"{len(held.tests)} tests in {seconds:.1f} s, {ended.kernel} ready after {ended.ready:.1f} s{lost}"
