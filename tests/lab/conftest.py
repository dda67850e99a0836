"""Tests in `inside/` run in lab hosts: here, outside, each of them is reported as if it had run here.

All chosen tests of a host share one boot, made when the first of them is due.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.lab.boot import LOST
from tests.lab.hosts import Host
from tests.lab.packages import Missing, Unavailable
from tests.lab.session import LONG, SANITIZED, Session, Writer, failed, here, hold, skipped
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
        tests = [other for other in item.session.items if host_of(other) is host]
        capture = item.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            print(f"\nlab host {host.name}, {len(tests)} tests", flush=True)
            work = self._factory.mktemp(host.name)
            # pyproject.toml has -q, so that -v is 0
            live = sys.stdout.buffer if item.config.option.verbose >= 0 else None
            try:
                _hand_over(tests, work)
                return hold(item.config, host, [one.nodeid for one in tests], work, live)
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
    config.addinivalue_line("markers", "sanitized: uses the C floor built with sanitizers, which is built outside")
    if here():
        config.pluginmanager.register(Writer(config))


def pytest_itemcollected(item: pytest.Item) -> None:
    if host_of(item):
        item.add_marker("lab")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    out = [item for item in items if not _due(item)]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in set(out)]


def _due(item: pytest.Item) -> bool:
    host, inside, long = host_of(item), here(), bool(os.environ.get(LONG))
    if inside:
        return host is inside
    return long or not (item.get_closest_marker("long") or (host and not host.every_commit))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    host = host_of(item)
    if host is None or here():
        return None
    factory = pytest.TempPathFactory.from_config(item.config, _ispytest=True)
    lab = item.config.stash.setdefault(KEY, Lab(factory))
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in lab.reports_of(item, host):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    held = session.config.stash[KEY].held.values() if KEY in session.config.stash else ()
    if any(isinstance(one, Session) and one.ended.lost for one in held):
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
    lost = "; the machine was lost" if held.ended.lost else ""
    ended = held.ended
    return f"{len(held.reports)} tests in {ended.seconds:.1f} s, {ended.kernel} ready after {ended.ready:.1f} s{lost}"
