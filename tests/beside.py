"""Where there are two processors, the tests of one folder run in a process of their own, beside those of the others.

Here each is reported as if it had run here. The tests of the lab come when both have ended: its machines are emulated,
and a kernel whose processors are not served loses them.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing

import pytest

from tests.account import BESIDE, NAME, OVER, WITHOUT_HYPOTHESIS, Account, Writer, failed, is_known, tell
from tests.parts import part_of

KVM, LAB = "kvm", "lab"  # folders in tests/
TICK = 1.0  # seconds between two looks at what the other process has written


class Beside:
    """A pytest that runs these tests; its account is read as it is written."""

    def __init__(self, writer: Writer, config: pytest.Config, tests: Sequence[str]) -> None:
        path = writer.path.with_name(f"beside-{os.getpid()}")
        self._said = path.with_name(f"{path.name}.said")
        path.touch()
        self._lines, self._told, self._over = path.open("rb"), Account(self._see), False
        options = ("-p", "no:cacheprovider", *WITHOUT_HYPOTHESIS)
        shown = (f"--tb={config.option.tbstyle}", *("-v",) * config.option.verbose)
        command = [sys.executable, "-m", "tests.again", "--account", str(path), *options, *shown, *tests]
        writer.write(BESIDE, [str(path), str(self._said), command])

    def _see(self, kind: str, content: object) -> None:
        self._over |= kind == OVER

    def reports_of(self, item: pytest.Item) -> list[pytest.TestReport]:
        """When it has run."""
        while True:
            self._told.write(self._lines.read())
            if (reports := self._told.reports_of(item)) is not None:
                return reports
            if self._over:
                said = self._said.read_text(errors="replace")
                return [failed(item, f"the process beside has ended with no report on this test\n{said}")]
            time.sleep(TICK)  # a file that grows is no event

    def close(self) -> None:
        self._lines.close()


KEY = pytest.StashKey[Beside]()


def _is_beside(item: pytest.Item) -> bool:
    return part_of(item.nodeid) == KVM and not is_known(item)


def _is_possible(config: pytest.Config, items: Sequence[pytest.Item]) -> bool:
    """Who wants to see what a test says, or to stop in it, has them one after the other."""
    here = any(part_of(item.nodeid) not in (KVM, LAB) for item in items)
    alone = config.option.usepdb or config.option.capture == "no" or config.option.collectonly
    together = not alone and _writer(config) is not None and len(os.sched_getaffinity(0)) > 1
    return together and here and any(map(_is_beside, items))


def _writer(config: pytest.Config) -> Writer | None:
    """None: below no tests/again.py, which would start the other process."""
    writer = config.pluginmanager.get_plugin(NAME)
    return writer if isinstance(writer, Writer) else None


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if _is_possible(config, items):
        items.sort(key=lambda item: {KVM: 1, LAB: 2}.get(part_of(item.nodeid), 0))


@pytest.hookimpl(wrapper=True)
def pytest_runtestloop(session: pytest.Session) -> Iterator[None]:
    writer = _writer(session.config)
    if writer is None or not _is_possible(session.config, session.items):
        return (yield)
    tests = list(filter(_is_beside, session.items))
    for item in tests:  # it would be charged for all those before it
        item.add_marker(pytest.mark.timeout(0), append=False)
    with closing(Beside(writer, session.config, [item.nodeid for item in tests])) as beside:
        session.config.stash[KEY] = beside
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    if KEY not in item.config.stash or not _is_beside(item):
        return None
    tell(item, item.config.stash[KEY].reports_of(item))
    return True
