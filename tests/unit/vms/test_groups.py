"""An IOMMU group is one VM's, whoever runs it."""

from __future__ import annotations

import fcntl
import os
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from launcher.errors import Refused
from launcher.executor.keeper.claim import claim
from launcher.host.opened import read_opened
from launcher.host.tree import Live
from launcher.plan.plan import Plan
from launcher.plan.steps import KeepState, OpenDevices, OpenGroups, Passed, TakeMemory
from launcher.record import replace
from launcher.values import PciAddress
from launcher.vms.folder import StateFolder
from launcher.vms.groups import LOCKS, GroupTaken, claimant, lock_groups
from launcher.vms.holders import has_open, openers
from launcher.vms.looking import all_folders
from tests.others import EVIL, as_evil, become_evil, let_pass, needs_root
from tests.unit.executor.runner.test_runner import plan_of


def plan_with(tmp_path: Path, name: str, *numbers: int) -> Plan:
    keep, *rest = plan_of(tmp_path).steps
    assert isinstance(keep, KeepState)
    memory = [step for step in rest if isinstance(step, TakeMemory)]
    steps = (KeepState(str(tmp_path / "vmlaunch" / name)), *memory, OpenGroups(numbers), *rest[len(memory) :])
    return replace(plan_of(tmp_path), name=name, steps=steps)


def up_with(folder: Path, *numbers: int) -> StateFolder:
    """As a keeper leaves it while its VM runs."""
    claimed = StateFolder.claim(folder)
    steps = [{"op": "keep-state"}, {"op": "open-groups", "args": {"groups": numbers}}]
    claimed.write("plan.json", {"steps": steps})
    claimed.write("state.json", {"phase": "running"})
    return claimed


def test_a_group_is_locked_once_and_free_again_when_its_vm_has_gone(tmp_path: Path) -> None:
    held = lock_groups({2, 1}, tmp_path)
    with pytest.raises(GroupTaken) as taken:
        lock_groups({3, 2}, tmp_path)
    assert taken.value.number == 2
    for lock in (*lock_groups({3}, tmp_path), *held):
        os.close(lock)
    assert len(lock_groups({1, 2, 3}, tmp_path)) == 3


def test_a_lock_lives_as_long_as_the_last_process_that_has_it(tmp_path: Path) -> None:
    (lock,) = lock_groups({1}, tmp_path)
    copy = os.dup(lock)
    os.close(lock)
    with pytest.raises(GroupTaken):
        lock_groups({1}, tmp_path)
    os.close(copy)
    assert lock_groups({1}, tmp_path)


def test_a_vm_that_would_take_a_group_of_another_is_refused_by_its_name_and_leaves_nothing(tmp_path: Path) -> None:
    first, _ = claim(plan_with(tmp_path, "first", 1, 2))
    assert first is not None
    first.write("plan.json", {"steps": [{"op": "open-groups", "args": {"groups": [1, 2]}}]})
    second, answer = claim(plan_with(tmp_path, "second", 2, 3))
    assert second is None
    (found,) = answer.diagnostics
    assert (found.code, found.message) == ("E529", "IOMMU group 2 is taken by the VM first, which is up")
    assert found.help == ("stop it with `vmlaunch down first`",)
    assert not (tmp_path / "vmlaunch" / "second").exists()
    first.close()
    again, _ = claim(plan_with(tmp_path, "second", 2, 3))
    assert again is not None
    again.close()


def test_a_group_whose_vm_has_not_yet_written_its_plan_is_refused_all_the_same(tmp_path: Path) -> None:
    held = lock_groups({1}, tmp_path / "vmlaunch")
    _, answer = claim(plan_with(tmp_path, "mine", 1))
    assert answer.diagnostics[0].message == "IOMMU group 1 is taken by a VM that is only starting or ending"
    for lock in held:
        os.close(lock)


def test_a_folder_that_keeps_a_report_keeps_it_when_its_vm_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "vmlaunch" / "mine"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text("{}")
    held = lock_groups({1}, tmp_path / "vmlaunch")
    assert claim(plan_with(tmp_path, "mine", 1))[0] is None
    assert (folder / "report.json").exists()
    for lock in held:
        os.close(lock)


def test_whose_a_group_is_is_known_while_the_vm_is_up(tmp_path: Path) -> None:
    other, own = up_with(tmp_path / "other", 4, 5), tmp_path / "own"
    up_with(own, 5)
    assert claimant({5, 9}, own) == (5, "other")
    assert claimant({6}, own) is None
    other.close()
    assert claimant({5}, own) is None


def test_an_edited_plan_whose_parts_do_not_fit_together_is_refused_and_claims_nothing(tmp_path: Path) -> None:
    plan = plan_with(tmp_path, "edited", 1)
    for kind in (TakeMemory, OpenGroups):
        device = Passed("gpu", PciAddress(0, 1, 0, 0), 1, PciAddress(0, 0, 16, 0), (), True, "flr")
        steps = [step for step in (*plan.steps, OpenDevices((device,))) if not isinstance(step, kind)]
        folder, answer = claim(replace(plan, steps=tuple(steps)))
        assert folder is None
        assert answer.diagnostics[0].code == "E515"
        assert not (tmp_path / "vmlaunch" / "edited").exists()


ODD = '{"steps": [1, {"op": "open-groups"}, {"op": "open-groups", "args": {"groups": [[1]]}}]}'


@pytest.mark.parametrize("plan", ["{", "[]", '{"steps": 1}', ODD])
def test_a_plan_that_is_none_claims_nothing(tmp_path: Path, plan: str) -> None:
    held = up_with(tmp_path / "odd", 1)
    (tmp_path / "odd" / "plan.json").write_text(plan)
    assert claimant({1}, tmp_path / "own") is None
    held.close()


# ---- other users ----


@needs_root
def test_no_other_user_can_take_the_lock_of_a_group(tmp_path: Path) -> None:
    """Nor would it matter what he locks elsewhere, as /sys/kernel/iommu_groups/N, which all may open."""
    let_pass(tmp_path)
    for lock in lock_groups({1, 2}, tmp_path):
        os.close(lock)
    for path in (tmp_path / LOCKS, tmp_path / LOCKS / "1"):
        assert not as_evil(partial(os.open, path, os.O_RDONLY))
    group = tmp_path / "1"
    group.mkdir(mode=0o755)
    reading, writing = os.pipe()
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        become_evil()
        fcntl.flock(os.open(group, os.O_RDONLY), fcntl.LOCK_EX)
        os.write(tell, b"locked")
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    assert os.read(ready, 6) == b"locked"
    (lock,) = lock_groups({1}, tmp_path)
    for fd in (lock, writing, reading, ready, tell):
        os.close(fd)
    os.waitpid(child, 0)


@needs_root
def test_a_folder_of_locks_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    (tmp_path / LOCKS).mkdir()
    os.chown(tmp_path / LOCKS, EVIL, EVIL)
    with pytest.raises(Refused, match=rf"E541: .*belongs to uid {EVIL}"):
        lock_groups({1}, tmp_path)


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: os.symlink("elsewhere", path)])
def test_what_is_no_lock_is_told_with_a_code(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "vmlaunch" / LOCKS).mkdir(parents=True, mode=0o700)
    make(tmp_path / "vmlaunch" / LOCKS / "1")
    assert claim(plan_with(tmp_path, "mine", 1))[1].diagnostics[0].code == "E508"
    assert not (tmp_path / "vmlaunch" / "mine").exists()


def test_locks_are_no_vms(tmp_path: Path) -> None:
    held = lock_groups({1}, tmp_path)
    assert list(all_folders(tmp_path)) == []
    for lock in held:
        os.close(lock)


def test_who_has_a_node_open_is_known_by_the_number_of_the_device_not_by_its_name(tmp_path: Path) -> None:
    child = subprocess.Popen(["sleep", "1000"], stdin=subprocess.DEVNULL)
    try:
        assert child.pid in openers("/dev/null")
        (tmp_path / "file").touch()
        os.symlink("/dev/null", tmp_path / "null")
        assert openers(str(tmp_path / "null")) == ()
        assert openers(str(tmp_path / "nothing")) == ()
    finally:
        child.kill()
        child.wait()


def test_who_calls_a_file_of_his_as_a_node_is_called_does_not_have_it_open() -> None:
    """In a mount namespace of his own, where he is root."""
    script = "mount -t tmpfs none /dev && mkdir /dev/vfio && exec 9>/dev/vfio/null && echo there && exec sleep 1000"
    command = ["unshare", "-Urm", "sh", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            if child.stdout.readline() != "there\n":
                pytest.skip("no user namespaces here")
            assert os.readlink(f"/proc/{child.pid}/fd/9") == "/dev/vfio/null"
            assert "/dev/vfio/null" not in read_opened(Live()).pids
            assert not has_open(child.pid, "/dev/vfio/null", os.stat("/dev/null").st_rdev)
        finally:
            child.kill()
