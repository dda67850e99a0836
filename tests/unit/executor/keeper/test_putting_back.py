"""The host is put back whoever cannot be told of it; a keeper is confined where that is required."""

from __future__ import annotations

import errno
import os
import resource
from pathlib import Path
from typing import Any

import pytest

from launcher.executor.ending import diagnostics_of
from launcher.executor.keeper.engine_limits import memory_limits
from launcher.executor.keeper.host_changes import HostChanges
from launcher.kernel.api import GivenUp
from launcher.plan.outcome import StepOutcome
from launcher.plan.seed import SeedFile, StartSeedEngine
from launcher.plan.steps import RunVcpus
from launcher.record import replace
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import JOURNAL
from launcher.vms.journal import Journal
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.passing import guest
from tests.unit.executor.test_killed import BEFORE, Killing, a_host, a_plan, check_that_the_host_comes_back, live, state


@pytest.mark.parametrize("deaf", ["told", "heard"])
def test_nobody_who_cannot_be_told_or_heard_keeps_the_host_from_being_put_back(tmp_path: Path, deaf: str) -> None:
    refusing = False

    def tell(_: StepOutcome) -> None:
        if refusing and deaf == "told":
            raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    def listen(*_: Any) -> bool:
        if refusing and deaf == "heard":
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        return False

    kernel, folder = FakeKernel(host=a_host(tmp_path)), StateFolder.claim(tmp_path / "state")
    changes, journal = HostChanges(a_plan(tmp_path), kernel, tell, listen, lambda: None), Journal(folder)
    assert changes.make(journal) is None
    assert state(kernel.host) != BEFORE
    refusing = True
    assert changes.put_back(journal) == []
    assert state(kernel.host) == BEFORE
    journal.close()
    folder.close()


def test_a_damaged_line_of_the_journal_is_left_and_told_of_no_step(tmp_path: Path) -> None:
    told: list[StepOutcome] = []
    kernel, folder = FakeKernel(host=a_host(tmp_path)), StateFolder.claim(tmp_path / "state")
    changes, journal = (
        HostChanges(a_plan(tmp_path), kernel, told.append, lambda *_: False, lambda: None),
        Journal(folder),
    )
    assert changes.make(journal) is None
    with (tmp_path / "state" / JOURNAL).open("a") as file:
        file.write("rubbish\n")
    told.clear()
    (left,) = changes.put_back(journal)
    assert left[0].n < 0
    assert {(one.state, one.n > 0) for one in told} == {("undone", True)}
    assert state(kernel.host) == BEFORE
    journal.close()
    folder.close()


def test_a_disk_is_waited_for_before_each_change_of_the_host_and_for_no_other_step(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A disk takes milliseconds. The folder of a VM goes by itself."""
    moments, real = list[tuple[str, int]](), os.fdatasync

    def synced(descriptor: int) -> None:
        moments.append(("synced", (tmp_path / "state" / JOURNAL).read_text().count("\n")))
        real(descriptor)

    def tell(outcome: StepOutcome) -> None:
        if outcome.state == "done":
            moments.append((plan.steps[outcome.n - 1].op, 0))

    monkeypatch.setattr(os, "fdatasync", synced)
    plan, folder = a_plan(tmp_path), StateFolder.claim(tmp_path / "state")
    journal = Journal(folder)
    changes = HostChanges(plan, FakeKernel(host=a_host(tmp_path)), tell, lambda *_: False, lambda: None)
    assert changes.make(journal) is None
    assert moments[:5] == [("keep-state", 0), ("synced", 3), ("bind-driver", 0), ("synced", 4), ("bind-driver", 0)]
    journal.close()
    folder.close()


@pytest.mark.parametrize(
    "file", [SeedFile("user-data", "/a\0b", "", ""), SeedFile("user-data", "", "", "\ud800")], ids=["path", "text"]
)
def test_words_of_a_saved_plan_that_nothing_can_hold_fail_their_step(tmp_path: Path, file: SeedFile) -> None:
    told: list[StepOutcome] = []
    seed, folder = StartSeedEngine("seed", "/bin/false", 1, 1, (file,), 0), StateFolder.claim(tmp_path / "state")
    plan = replace(a_plan(tmp_path), steps=(seed,))
    journal = Journal(folder)
    failed = HostChanges(plan, FakeKernel(), told.append, lambda *_: False, lambda: None).make(journal)
    assert failed is not None
    assert "failed to make a disk in memory" in diagnostics_of(*failed)[0].message
    assert told[-1].state == "failed"
    journal.close()
    folder.close()


@pytest.mark.parametrize("maps", [-(1 << 40), -(5 << 28) - (1 << 30) - 1, 1 << 200])
def test_a_number_of_a_saved_plan_takes_no_limit_from_an_engine(maps: int) -> None:
    """-1 is RLIM_INFINITY."""
    for _, most in memory_limits(StartSeedEngine("seed", "/bin/false", 1, 1, (), maps)):
        assert most >= 0
        assert most != resource.RLIM_INFINITY


class Refusing(Killing):
    def give_up(self, *words: Any) -> GivenUp:
        return GivenUp({**super().give_up(*words).measures, "landlock": "Function not implemented"})


def test_a_keeper_that_must_be_confined_and_is_not_runs_no_guest(tmp_path: Path) -> None:
    plan = a_plan(tmp_path)
    *steps, run = plan.steps
    assert isinstance(run, RunVcpus)
    plan = replace(plan, steps=(*steps, replace(run, confine="required")))
    status, report = live(plan, Refusing(host=a_host(tmp_path), events=guest()))
    assert status == 11
    assert report is not None
    assert report["diagnostics"][0]["code"] == "E546"
    assert "the keeper must be confined" in report["diagnostics"][0]["message"]
    assert state(a_host(tmp_path)) == BEFORE
    check_that_the_host_comes_back(tmp_path, "nothing")
