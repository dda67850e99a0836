"""Keeper and runner, processes on the fake kernel, killed before each of its calls: the host comes back."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from launcher.executor.keeper.from_runner import FromRunner
from launcher.executor.keeper.keeper import Keeper
from launcher.executor.keeper.restore import restore
from launcher.plan.plan import Plan
from launcher.plan.steps import BindDriver, KeepState, SetVirtualFunction
from launcher.plan.virtio import Virtio
from launcher.record import replace
from launcher.values import NO_MAC, PciAddress, VfSettings, Vlan
from launcher.vms.channel import Channel, Closed
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import STATE
from launcher.vms.looking import wait_until_down
from launcher.vms.words import Running
from tests.budget import of_each_kind
from tests.fakes.host import FakeHost
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.passing import by_iommufd, guest, host_of, passing_plan

CARD = PciAddress.parse("0000:05:00.0")  # whose virtual functions two of them are
GIVEN = (VfSettings(NO_MAC, Vlan(0), False, True), VfSettings("02:00:00:00:03:01", Vlan(7, 3), False, None))
NATIVE = ("nvme", "8139too", "igb", "igb")


@dataclass
class Killing(FakeKernel):
    """`victims` die before its call number `at` in the process that makes it, which is `where`: keeper or runner."""

    victims: tuple[str, ...] = ()
    where: str = "keeper"
    at: int = 0
    keeper: int = 0
    paper: Path | None = None  # the calls of both, for who wants to know what there is

    def call(self, name: str) -> None:
        me = "keeper" if os.getpid() == self.keeper else "runner"
        if me == self.where and len(self.calls) + 1 == self.at:
            for victim in self.victims:
                os.kill(self.keeper if victim == "keeper" else os.getpid(), signal.SIGKILL)
        super().call(name)
        if self.paper:
            with self.paper.open("a") as lines:
                lines.write(f"{me} {len(self.calls)} {name}\n")


def a_host(folder: Path) -> FakeHost:
    host = host_of()
    for one, native in zip(host.functions, NATIVE, strict=True):
        one.native = one.driver = native
    for number, one in enumerate(host.functions[2:]):
        one.physical, one.number, one.told = CARD, number, GIVEN[number]
    host.paper = folder / "drivers"
    host.recall()
    return host


def state(host: FakeHost) -> list[object]:
    """All that is to be as before."""
    return [*host.drivers(), *host.told()]


BEFORE = [*((native, None) for native in NATIVE), VfSettings(), VfSettings(), *GIVEN]


def a_plan(folder: Path, served: tuple[Virtio, ...] = ()) -> Plan:
    """The keeper's steps in front: four drivers, and what two virtual functions are given."""
    plan = passing_plan(folder, served=served)
    binds = [
        BindDriver(one.address, native, "vfio-pci", None)
        for one, native in zip(host_of().functions, NATIVE, strict=True)
    ]
    told = [
        told_of(0, VfSettings("52:54:00:00:03:00", Vlan(100), True, False)),
        told_of(1, VfSettings("52:54:00:00:03:01", Vlan(9))),
    ]
    keep, *rest = plan.steps
    assert isinstance(keep, KeepState)
    return replace(plan, steps=(keep, *binds, *told, *rest))


def told_of(number: int, after: VfSettings) -> SetVirtualFunction:
    address = host_of().functions[2 + number].address
    return SetVirtualFunction(address, CARD, number, "eth5", GIVEN[number].only(after.said()), after)


Heard = Callable[[dict[str, Any], Channel, int], None]  # a message, the channel to answer on, the keeper's pid


def live(
    plan: Plan, kernel: Killing, keeper: type[Keeper] = Keeper, heard: Heard = lambda *_: None
) -> tuple[int, dict[str, Any] | None]:
    """A whole life: the keeper's exit status, and its report if it came to that."""
    folder = next(Path(step.folder) for step in plan.steps if isinstance(step, KeepState))
    mine, theirs = Channel.pair()
    pid = os.fork()
    if pid == 0:
        try:
            mine.close()
            kernel.keeper = os.getpid()
            os._exit(keeper(plan, kernel, StateFolder.claim(folder), theirs, reboot=False).run())
        finally:
            os._exit(70)
    theirs.close()
    report = None
    try:
        while packet := mine.receive():
            heard(packet.message or {}, mine, pid)
            report = (packet.message or {}).get("report", report)
    except Closed:
        pass
    mine.close()
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    wait_until_down(folder)  # its runner may be a moment behind
    return status, report


class Stumbling(Keeper):
    """It has a bug, which shows when its runner runs."""

    def _hear_runner(self) -> None:
        self._from_runner.DEEDS = FromRunner.DEEDS | {Running: self._stumble}
        super()._hear_runner()

    @staticmethod
    def _stumble(*_: object) -> None:
        raise ZeroDivisionError


def calls_of(plan: Plan, folder: Path) -> list[list[str]]:
    """(who, number, name) of a life in which nobody dies."""
    kernel = Killing(host=a_host(folder), events=guest(), paper=folder / "calls")
    status, report = live(plan, kernel)
    assert status == 0
    assert report is not None
    assert report["left_behind"] == []
    return [line.split(" ", 2) for line in (folder / "calls").read_text().splitlines()]


def check_that_the_host_comes_back(folder: Path, told: object) -> None:
    """By `down`, and whoever comes next can use it."""
    path = folder / "state"
    assert (path / STATE).exists(), told
    with closing(StateFolder.claim(path)) as claimed:
        restore(claimed, FakeKernel(host=a_host(folder)))
    assert not path.exists(), told
    assert state(a_host(folder)) == BEFORE, told


WAYS = (
    ("keeper", ("keeper",), -signal.SIGKILL),
    ("runner", ("runner",), 11),
    ("runner", ("keeper",), -signal.SIGKILL),
    ("runner", ("keeper", "runner"), -signal.SIGKILL),
)


@pytest.mark.parametrize(("where", "victims", "status"), WAYS, ids=["keeper", "runner", "keeper-meanwhile", "both"])
def test_killed_before_each_call_of_the_kernel_the_host_comes_back(
    tmp_path: Path, where: str, victims: tuple[str, ...], status: int
) -> None:
    kill_in_turn(a_plan(tmp_path), tmp_path, where, victims, status)


@pytest.mark.parametrize(("where", "victims", "status"), WAYS[1::2], ids=["runner", "both"])
def test_killed_before_each_call_of_iommufd_the_host_comes_back(
    tmp_path: Path, where: str, victims: tuple[str, ...], status: int
) -> None:
    kill_in_turn(by_iommufd(a_plan(tmp_path)), tmp_path, where, victims, status, of=("IOMMU", "open /dev/vfio/devices"))


def kill_in_turn(
    plan: Plan, tmp_path: Path, where: str, victims: tuple[str, ...], status: int, of: tuple[str, ...] = ("",)
) -> None:
    """Before each kind of call whose name has a word of `of`."""
    every = [(int(n), name) for who, n, name in calls_of(plan, tmp_path) if who == where]
    assert len(every) > (180 if where == "runner" else 20)
    numbers = of_each_kind(every, lambda call: call[1]) if where == "runner" else every
    numbers = [one for one in numbers if any(word in one[1] for word in of)]
    assert numbers
    for at, name in numbers:
        told = (victims, where, at, name)
        kernel = Killing(host=a_host(tmp_path), events=guest(), victims=victims, where=where, at=at)
        ended, report = live(plan, kernel)
        if victims == ("runner",):  # the keeper puts back by itself
            assert report is not None
            assert report["diagnostics"][0]["code"] == "E502", told
            assert state(a_host(tmp_path)) == BEFORE, told
        assert ended == status, told
        check_that_the_host_comes_back(tmp_path, told)
    print(f"{len(numbers)} times {' and '.join(victims)} killed before a call of the {where}")
    assert live(plan, Killing(host=a_host(tmp_path), events=guest()))[0] == 0


def test_a_bug_of_the_keepers_own_ends_the_runner_and_the_host_comes_back(tmp_path: Path) -> None:
    assert live(a_plan(tmp_path), Killing(host=a_host(tmp_path), events=guest()), Stumbling) == (70, None)
    assert state(a_host(tmp_path)) == BEFORE
    check_that_the_host_comes_back(tmp_path, "what is left is the state folder")


class Checking(Keeper):
    """It looks whether its runner has gone before it puts the host back."""

    def _put_host_back(self) -> None:
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        super()._put_host_back()


def test_a_runner_that_no_pidfd_can_be_had_of_is_ended_before_the_host_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "pidfd_open", no_more)
    status, report = live(a_plan(tmp_path), Killing(host=a_host(tmp_path), events=guest()), Checking)
    assert status == 11
    assert report is not None
    assert [one["code"] for one in report["diagnostics"]] == ["E552"]
    assert state(a_host(tmp_path)) == BEFORE
