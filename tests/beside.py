"""Where there are two processors, the tests of one folder run in a process of their own, beside those of the others.

Here each is reported as if it had run here. The tests of the lab come when both have ended: its machines are emulated,
and a kernel whose processors are not served loses them.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.account import Account, failed, is_known, tell
from tests.again import WITHOUT_HYPOTHESIS
from tests.lab.boot import has_ended
from tests.parts import part_of

BESIDE, LAST = "kvm", "lab"  # folders in tests/
TICK = 1.0  # seconds between two looks at what the other process has written


class Beside:
    """A pytest that runs these tests; its account is read as it is written."""

    def __init__(self, config: pytest.Config, folder: Path, tests: Sequence[str]) -> None:
        path, self._said = folder / "account", folder / "said"
        path.touch()
        self._told, self._lines = Account(), path.open("rb")
        options = (
            "-p",
            "no:cacheprovider",
            *WITHOUT_HYPOTHESIS,
            f"--tb={config.option.tbstyle}",
            *("-v",) * config.option.verbose,
        )
        command = [sys.executable, "-m", "tests.again", "--account", str(path), *options, *tests]
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *command],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a ^C comes to us first
            )

    def reports_of(self, item: pytest.Item) -> list[pytest.TestReport]:
        """When it has run."""
        over = False
        while True:
            self._told.write(self._lines.read())
            if (reports := self._told.reports_of(item)) is not None:
                return reports
            if over:
                said = self._said.read_text(errors="replace")
                return [failed(item, f"the process beside has ended with no report on this test\n{said}")]
            over = has_ended(self._process, TICK)

    def end(self) -> None:
        """As ^C ends pytest, where it has not ended: fixtures put down what they have started."""
        if not has_ended(self._process, 0):
            os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait()
        self._lines.close()


KEY = pytest.StashKey[Beside]()


def _is_beside(item: pytest.Item) -> bool:
    return part_of(item.nodeid) == BESIDE and not is_known(item)


def _is_possible(config: pytest.Config, items: Sequence[pytest.Item]) -> bool:
    """Who wants to see what a test says, or to stop in it, has them one after the other."""
    here = any(part_of(item.nodeid) not in (BESIDE, LAST) for item in items)
    alone = config.option.usepdb or config.option.capture == "no" or config.option.collectonly
    return here and any(map(_is_beside, items)) and not alone and len(os.sched_getaffinity(0)) > 1


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _is_possible(config, items):
        items.sort(key=lambda item: {BESIDE: 1, LAST: 2}.get(part_of(item.nodeid), 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    if not _is_possible(session.config, session.items):
        return (yield)
    tests = list(filter(_is_beside, session.items))
    for item in tests:  # it would be charged for all those before it
        item.add_marker(pytest.mark.timeout(0), append=False)
    with tempfile.TemporaryDirectory(prefix="vmlaunch-tests-") as folder:
        beside = Beside(session.config, Path(folder), [item.nodeid for item in tests])
        session.config.stash[KEY] = beside
        try:
            return (yield)
        finally:
            beside.end()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    if KEY not in item.config.stash or not _is_beside(item):
        return None
    tell(item, item.config.stash[KEY].reports_of(item))
    return True
