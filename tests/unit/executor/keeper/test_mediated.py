"""A mediated device is made for a VM and removed after it; whichever call fails, whoever is killed or made it."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from launcher.errors import HostNotRestored, StepFailed
from launcher.executor.keeper.changing import change, check, commands, describe, left_by, memory_of, undo_all
from launcher.executor.keeper.host_changes import HostChanges
from launcher.executor.keeper.restore import restore
from launcher.executor.nodes import opened_by
from launcher.kernel.api import Event, MdevKind
from launcher.plan.plan import Plan
from launcher.plan.steps import KeepState, MakeMdev, OpenDevices, OpenGroups, PassedMdev
from launcher.plan.whole import check_whole
from launcher.record import replace
from launcher.values import MIB, Mdev, PciAddress, Span
from launcher.vms.folder import StateFolder
from launcher.vms.journal import Entry, Journal
from tests.fakes.drivers import FakeDrivers
from tests.fakes.host import FakeFunction, FakeHost, frame_buffer
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.passing import COMMAND, DECODE, by_iommufd, config, passing_plan
from tests.unit.executor.test_killed import Killing, live

UUID, GROUP, SLOT = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1002", 22, 7 * 8
KIND = MdevKind("mdpy", "mdpy-vga")
STEP = MakeMdev(Mdev(UUID), *KIND)


def display(*, there: bool = False, kind: MdevKind = KIND) -> FakeFunction:
    return frame_buffer(UUID, GROUP, kind=kind, there=there)


def a_kernel(*, there: bool = False, kind: MdevKind = KIND, fail_at: int = 0, error: int = errno.EIO) -> FakeKernel:
    return FakeKernel(host=FakeHost((display(there=there, kind=kind),)), fail_at=fail_at, error=error)


def is_there(kernel: FakeKernel) -> bool:
    return kernel.drivers.mdev(STEP.address) is not None


def done(kernel: FakeKernel, folder: StateFolder) -> Journal:
    """As a keeper does it."""
    journal = Journal(folder)
    check(STEP, kernel)
    journal.before(1, STEP.op, memory_of(STEP, kernel) or {})
    change(STEP, kernel)
    return journal


@pytest.fixture
def folder(tmp_path: Path) -> StateFolder:
    return StateFolder.claim(tmp_path / "vm")


def test_it_is_made_and_removed(folder: StateFolder) -> None:
    kernel = a_kernel()
    journal = done(kernel, folder)
    assert is_there(kernel)
    (entry,) = journal.pending()
    assert describe(entry) == f"{UUID}, mdpy-vga of mdpy, removed"
    assert commands(entry) == f"echo 1 > /sys/bus/mdev/devices/{UUID}/remove"
    assert undo_all(left_by(journal), journal, kernel) == []
    assert not is_there(kernel)
    assert journal.pending() == []


def test_one_that_somebody_made_meanwhile_is_not_ours(folder: StateFolder) -> None:
    kernel = a_kernel(there=True)
    with pytest.raises(StepFailed, match="is there already, as mdpy-vga of mdpy, and was not when it was planned"):
        done(kernel, folder)
    assert left_by(Journal(folder)) == []
    assert is_there(kernel)


class Raced(FakeKernel):
    """Somebody else makes it between the keeper's look and his deed."""

    def call(self, name: str) -> None:
        super().call(name)
        if name == "create":
            self.host.functions[0].there = True


def test_one_that_somebody_makes_at_the_same_moment_stays_his(tmp_path: Path, folder: StateFolder) -> None:
    """Two VMs of one UUID: neither was there when the other was planned."""
    kernel, journal = Raced(host=FakeHost((display(),))), Journal(folder)
    changes = HostChanges(a_plan(tmp_path, "type1"), kernel, lambda _: None, lambda *_: False, lambda: None)
    failed = changes.make(journal)
    assert failed is not None
    assert f"somebody has made {UUID} since it was planned" in str(failed[1])
    assert left_by(journal) == []
    assert changes.put_back(journal) == []
    assert is_there(kernel)


@pytest.mark.parametrize("error", [errno.EUSERS, errno.ENOSPC])
def test_somebody_who_takes_the_last_one_is_named_in_place_of_a_full_disk(folder: StateFolder, error: int) -> None:
    with pytest.raises(StepFailed, match="there can be no more mdpy-vga of mdpy: somebody has") as raised:
        done(a_kernel(fail_at=1, error=error), folder)
    assert raised.value.diagnostics[0].help == ("plan again",)


def test_one_that_is_gone_is_done_and_another_of_its_name_stays(folder: StateFolder) -> None:
    kernel = a_kernel()
    journal = done(kernel, folder)
    kernel.drivers.remove_mdev(STEP.address)
    assert undo_all(left_by(journal), journal, kernel) == []
    other = a_kernel(there=True, kind=MdevKind("mdpy", "mdpy-hd"))
    journal.before(2, STEP.op, memory_of(STEP, kernel) or {})
    assert undo_all(left_by(journal), journal, other) == []
    assert is_there(other)


def test_what_cannot_be_removed_stays_in_the_journal(folder: StateFolder) -> None:
    kernel = a_kernel()
    done(kernel, folder)
    failing = a_kernel(there=True, fail_at=1, error=errno.ETIMEDOUT)
    with pytest.raises(HostNotRestored) as raised:
        restore(folder, failing)
    (said,) = raised.value.diagnostics
    assert said.help == (f"`echo 1 > /sys/bus/mdev/devices/{UUID}/remove`",)
    folder.leave()
    restore(StateFolder.claim(Path(folder.path)), kernel)
    assert not is_there(kernel)


def test_one_that_is_half_made_stays_in_the_journal(folder: StateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever was to make it was killed, and the kernel goes on."""
    kernel = a_kernel()
    done(kernel, folder)

    def half_made(_: FakeDrivers, __: Mdev) -> None:
        raise OSError(errno.EBUSY, "it is being made, or removed")

    with monkeypatch.context() as patch:
        patch.setattr(FakeDrivers, "mdev", half_made)
        with pytest.raises(HostNotRestored):
            restore(folder, kernel)
    folder.leave()
    restore(StateFolder.claim(Path(folder.path)), kernel)
    assert not is_there(kernel)


@pytest.mark.parametrize(
    "change", [{"parent": "../../x"}, {"type": "a/b"}, {"address": "0000:01:00.0"}, {"type": 7}, {"parent": ".."}]
)
def test_a_journal_that_no_keeper_wrote_touches_nothing(folder: StateFolder, change: dict[str, object]) -> None:
    kernel = a_kernel(there=True)
    memory = (memory_of(STEP, kernel) or {}) | change
    journal = Journal(folder)
    ((_, error),) = undo_all([Entry(1, STEP.op, memory)], journal, kernel)
    assert "is not one of ours" in str(error)
    assert is_there(kernel)


# ---- lives ----


def a_plan(folder: Path, way: str) -> Plan:
    """The keeper makes it, and the runner opens it by the group that it has then."""
    plan = passing_plan(folder)
    mdev = PassedMdev(
        "display", STEP.address, None, PciAddress(0, 0, SLOT // 8, 0), (), (Span(0xD000_0000, 256 * MIB),)
    )
    keep, *rest = (
        replace(step, groups=(), made=(STEP.address,))
        if isinstance(step, OpenGroups)
        else replace(step, devices=(mdev,))
        if isinstance(step, OpenDevices)
        else step
        for step in plan.steps
    )
    assert isinstance(keep, KeepState)
    made = replace(plan, steps=(keep, STEP, *rest))
    made = by_iommufd(made) if way == "iommufd" else made
    check_whole(made)
    return made


def a_host(folder: Path) -> FakeHost:
    host = FakeHost((display(),), paper=folder / "drivers")
    host.recall()
    return host


BOTH_WAYS = pytest.mark.parametrize("way", ["type1", "iommufd"])
EVENTS = ((config(SLOT, COMMAND, DECODE), Event("power-off")),)


@BOTH_WAYS
def test_a_guest_has_it_and_it_is_gone_after(tmp_path: Path, way: str) -> None:
    status, report = live(a_plan(tmp_path, way), Killing(host=a_host(tmp_path), events=EVENTS))
    assert status == 0, report
    assert report is not None
    (device,) = report["devices"]
    assert (device["host"], device["group"], device["bars"][0]["served"]) == (UUID, None, "mmap")
    assert report["host_changes"] == [f"{UUID}  make mdpy-vga of mdpy"]
    assert report["failed_undos"] == 0
    assert not a_host(tmp_path).functions[0].there


def test_the_node_that_it_is_had_by_is_that_of_its_group(tmp_path: Path) -> None:
    kernel = a_kernel(there=True)
    by_group, own = a_plan(tmp_path, "type1"), a_plan(tmp_path, "iommufd")
    assert opened_by(by_group, kernel.drivers.node, kernel.drivers.group)[f"/dev/vfio/{GROUP}"] == ("display",)
    named = opened_by(own, lambda _: "/dev/vfio/devices/vfio3", kernel.drivers.group)
    assert named["/dev/vfio/devices/vfio3"] == ("display",)


def deaths(folder: Path, way: str) -> Iterator[tuple[str, int]]:
    """Each call of the keeper's, and some of the runner's."""
    paper = folder / "calls"
    live(a_plan(folder, way), Killing(host=a_host(folder), events=EVENTS, paper=paper))
    calls = [line.split(" ", 2) for line in paper.read_text().splitlines()]
    for who, number, _ in calls:
        if who == "keeper" or int(number) % 7 == 0:
            yield who, int(number)


@BOTH_WAYS
def test_whoever_is_killed_at_whichever_call_it_is_gone_after(tmp_path: Path, way: str) -> None:
    seen = 0
    for where, at in deaths(tmp_path, way):
        for victims in {(where,), ("keeper", "runner")} if where == "runner" else {("keeper",)}:
            kernel = Killing(host=a_host(tmp_path), events=EVENTS, victims=victims, where=where, at=at)
            live(a_plan(tmp_path, way), kernel)
            with closing(StateFolder.claim(tmp_path / "state")) as folder:
                restore(folder, FakeKernel(host=a_host(tmp_path)))
            assert not a_host(tmp_path).functions[0].there, (where, at, victims)
            seen += 1
    assert seen > 4
