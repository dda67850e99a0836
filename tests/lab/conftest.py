"""Tests in `inside/` run in lab hosts: here, outside, each of them is reported as if it had run here.

All chosen tests of all hosts run when the first of them is due.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.account import failed, is_known, tell
from tests.lab import pieces
from tests.lab.boot import LOST, kernel_for
from tests.lab.hosts import SHORT_ROUND, Host
from tests.lab.image.recipe import image
from tests.lab.packages import Missing, Unavailable
from tests.lab.progress import Progress
from tests.lab.session import LAB, LONG, SANITIZED, Session, here, hold, skipped
from tests.lab.together import Share, at_once, hold_all, shares
from tests.native.build import sanitized_module


class Lab:
    """What became of all shares, or why one could not be held."""

    def __init__(self, session: pytest.Session) -> None:
        self._factory = pytest.TempPathFactory.from_config(session.config, _ispytest=True)
        self._factory.getbasetemp()  # two threads that ask first each make one
        self._verbose = session.config.option.verbose > 0
        items: defaultdict[Host, dict[str, pytest.Item]] = defaultdict(dict)
        self._without_image = _why_no_image(session.items)
        for item in session.items:
            if (host := host_of(item)) and not is_known(item) and not (self._without_image and _boots_image(item)):
                items[host][item.nodeid] = item
        together = at_once(list(items))
        self._every = shares({host: list(tests) for host, tests in items.items()}, together)
        self._sanitized = {test for tests in items.values() for test, item in tests.items() if _sanitized(item)}
        capture = session.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            print(flush=True)
            self.held = self._unavailable()
            self.held |= hold_all([one for one in self._every if one not in self.held], together, self._hold)

    def reports_of(self, item: pytest.Item) -> list[pytest.TestReport]:
        if self._without_image and _boots_image(item):
            return _reports_without(self._without_image, item)
        held = next(held for share, held in self.held.items() if item.nodeid in share.tests)
        return _reports_without(held, item) if isinstance(held, Missing) else held.reports_of(item)

    def _unavailable(self) -> dict[Share, Session | Missing]:
        """One after the other: what is missing is fetched, and by one only."""
        found: dict[Share, Session | Missing] = {}
        for share in self._every:
            try:
                (pieces.qemu(), kernel_for(share.host), pieces.busybox())
                if os.environ.get(LONG):
                    (pieces.memtest(), pieces.other_firmware())
            except Missing as why:
                found[share] = why
        return found

    def _hold(self, share: Share, stop: Callable[[], str]) -> Session | Missing:
        work = self._factory.mktemp(share.name)
        try:
            if self._sanitized & set(share.tests):
                _hand_over(work)
            progress = Progress(share.name, sys.stdout, sys.stdout.buffer if self._verbose else None)
            return hold(share.host, list(share.tests), work, progress, stop)
        except Missing as why:
            return why


def _reports_without(why: Missing, item: pytest.Item) -> list[pytest.TestReport]:
    return [(skipped if isinstance(why, Unavailable) else failed)(item, str(why))]


def _boots_image(item: pytest.Item) -> bool:
    return item.get_closest_marker("image") is not None


def _why_no_image(items: list[pytest.Item]) -> Missing | None:
    """It is made outside, before the first machine starts, if a test boots it."""
    try:
        if any(_boots_image(item) for item in items if host_of(item)):
            image()
    except Missing as why:
        return why
    return None


def _sanitized(item: pytest.Item) -> bool:
    return item.get_closest_marker("sanitized") is not None


def _hand_over(work: Path) -> None:
    """A compiler in emulation takes ten times as long."""
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
    config.addinivalue_line("markers", "short: of those in inside/, belongs to ./dev test, in one host and one boot")
    config.addinivalue_line("markers", "image: boots the disk image for the tests, which is made outside")
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
    if KEY not in item.config.stash:
        item.config.stash[KEY] = Lab(item.session)
    tell(item, item.config.stash[KEY].reports_of(item))
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
    for share, held in config.stash[KEY].held.items():
        terminalreporter.line(f"{share.name:17} {_summary(held)}")


def _summary(held: Session | Missing) -> str:
    if isinstance(held, Missing):
        return f"{'skipped' if isinstance(held, Unavailable) else 'failed'}: {held}"
    seconds, ended = sum(boot.ended.seconds for boot in held.boots), held.ended
    lost = f"; {len(held.boots)} machines" if len(held.boots) > 1 else ""
    lost += "; the machine was lost" if ended.lost else ""
    return f"{len(held.tests)} tests in {seconds:.1f} s, {ended.kernel} ready after {ended.ready:.1f} s{lost}"
