"""Keeper and runner on the fake kernel, each call of both refused once: the host is as before, or it is told.

Every call of the set-up, of the run and of the teardown, with what the kernel can say to each.
"""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launcher.executor.keeper.restore import restore
from launcher.plan.plan import Plan
from launcher.plan.steps import LoadModules
from launcher.record import replace
from launcher.vms.folder import StateFolder
from tests.budget import LONG, of_each_kind
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.keeper import test_binding, test_network
from tests.unit.executor.passing import guest
from tests.unit.executor.runner import test_passthrough
from tests.unit.executor.test_killed import BEFORE, Killing, a_host, a_plan, live, state

FAILED, NOT_RESTORED, BUG = 11, 12, 70


@dataclass
class Refusing(Killing):
    """Nobody is killed: call number `at` of `where` fails with `error`."""

    def call(self, name: str) -> None:
        me = "keeper" if os.getpid() == self.keeper else "runner"
        self.fail_at = self.at if me == self.where else 0
        super().call(name)


def the_plan(folder: Path) -> Plan:
    keep, *rest = a_plan(folder).steps
    return replace(a_plan(folder), steps=(keep, LoadModules(("vfio-pci",)), *rest))


def errnos_of(who: str, name: str) -> tuple[int, ...]:
    """On each commit one for each call of the runner: test_passthrough has them all, without the keeper."""
    if who == "keeper":
        return (*(test_binding.ERRNOS | test_network.ERRNOS)[name], errno.EIO)
    return test_passthrough.errnos(name)[0][: None if LONG else 1]


def refusals(folder: Path) -> Iterator[tuple[str, int, str, int]]:
    """Of a life in which nothing fails: who, number, name; and each errno."""
    kernel = Refusing(host=a_host(folder), events=guest(), paper=folder / "calls")
    assert live(the_plan(folder), kernel)[0] == 0
    every = [line.split(" ", 2) for line in (folder / "calls").read_text().splitlines()]
    for who, number, name in of_each_kind(every, lambda call: (call[0], call[2])):
        for error in errnos_of(who, name):
            yield who, int(number), name, error


def test_whichever_call_is_refused_the_host_is_as_before_or_it_is_said_what_is_left(tmp_path: Path) -> None:
    plan, seen = the_plan(tmp_path), Counter[str]()
    for who, at, name, error in refusals(tmp_path):
        told = (who, at, name, errno.errorcode[error])
        kernel = Refusing(host=a_host(tmp_path), events=guest(), where=who, at=at, error=error)
        status, report = live(plan, kernel)
        assert report is not None, told
        seen[check(status, report, tmp_path, told)] += 1
        with closing(StateFolder.claim(tmp_path / "state")) as folder:
            restore(folder, FakeKernel(host=a_host(tmp_path)))
        assert state(a_host(tmp_path)) == BEFORE, told
    print(f"{seen.total()} calls refused: {dict(seen)}")
    assert seen.total() > (600 if LONG else 80)
    assert set(seen) == {"failed, host as before", "host not as before, and said", "the guest's own end"}


def check(status: int, report: dict[str, Any], folder: Path, told: object) -> str:
    """How it ended, in words."""
    as_before = state(a_host(folder)) == BEFORE
    assert report["end"]["exit_code"] == status, told
    assert bool(report["left_behind"]) == (status == NOT_RESTORED), told
    if status == NOT_RESTORED:
        assert all(words.startswith(("echo ", "ip link set dev eth5 vf ")) for words in report["left_behind"]), told
        return "host not as before, and said"
    assert as_before, told
    if status == 0:
        assert report["end"]["how"] == "power-off", told
        return "the guest's own end"
    assert status == FAILED, told
    assert report["diagnostics"][0]["message"].startswith("failed to "), told
    return "failed, host as before"
