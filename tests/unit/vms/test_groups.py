"""An IOMMU group is one VM's, whoever runs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.executor.claim import claim
from launcher.plan.plan import Plan
from launcher.plan.steps import KeepState, OpenDevices, OpenGroups, Passed, TakeMemory
from launcher.record import replace
from launcher.values import PciAddress
from launcher.vms.folder import StateFolder
from launcher.vms.groups import GroupTaken, claimant, lock_groups
from tests.unit.executor.test_runner import plan_of


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    """As /sys/kernel/iommu_groups."""
    for number in (1, 2, 3):
        (tmp_path / "groups" / str(number)).mkdir(parents=True)
    return tmp_path / "groups"


def plan_with(tmp_path: Path, name: str, *numbers: int) -> Plan:
    keep, first, *rest = plan_of(tmp_path).steps
    assert isinstance(keep, KeepState)
    steps = (KeepState(str(tmp_path / "vmlaunch" / name)), first, OpenGroups(numbers), *rest)
    return replace(plan_of(tmp_path), name=name, steps=steps)


def up_with(folder: Path, *numbers: int) -> StateFolder:
    """As a keeper leaves it while its VM runs."""
    claimed = StateFolder.claim(folder)
    steps = [{"op": "keep-state"}, {"op": "open-groups", "args": {"groups": numbers}}]
    claimed.write("plan.json", {"steps": steps})
    claimed.write("state.json", {"phase": "running"})
    return claimed


def test_a_group_is_locked_once_and_free_again_when_its_vm_has_gone(groups: Path) -> None:
    held = lock_groups({2, 1}, groups)
    with pytest.raises(GroupTaken) as taken:
        lock_groups({3, 2}, groups)
    assert taken.value.number == 2
    for lock in (*lock_groups({3}, groups), *held):
        os.close(lock)
    assert len(lock_groups({1, 2, 3}, groups)) == 3


def test_a_lock_lives_as_long_as_the_last_process_that_has_it(groups: Path) -> None:
    (lock,) = lock_groups({1}, groups)
    copy = os.dup(lock)
    os.close(lock)
    with pytest.raises(GroupTaken):
        lock_groups({1}, groups)
    os.close(copy)
    assert lock_groups({1}, groups)


def test_a_group_that_is_not_there_is_left_to_who_opens_it(groups: Path) -> None:
    assert lock_groups({77}, groups) == ()


def test_a_vm_that_would_take_a_group_of_another_is_refused_by_its_name_and_leaves_nothing(
    tmp_path: Path, groups: Path
) -> None:
    first, _ = claim(plan_with(tmp_path, "first", 1, 2), groups)
    assert first is not None
    first.write("plan.json", {"steps": [{"op": "open-groups", "args": {"groups": [1, 2]}}]})
    second, answer = claim(plan_with(tmp_path, "second", 2, 3), groups)
    assert second is None
    (found,) = answer["refused"]
    assert (found["code"], found["message"]) == ("E529", "IOMMU group 2 is taken by the VM first, which is up")
    assert found["help"] == ["stop it with `vmlaunch down first`"]
    assert not (tmp_path / "vmlaunch" / "second").exists()
    first.close()
    again, _ = claim(plan_with(tmp_path, "second", 2, 3), groups)
    assert again is not None
    again.close()


def test_the_group_of_somebody_we_may_not_look_at_is_refused_all_the_same(tmp_path: Path, groups: Path) -> None:
    held = lock_groups({1}, groups)
    _, answer = claim(plan_with(tmp_path, "mine", 1), groups)
    assert answer["refused"][0]["message"] == "IOMMU group 1 is taken by a VM of another user"
    for lock in held:
        os.close(lock)


def test_a_folder_that_keeps_a_report_keeps_it_when_its_vm_is_refused(tmp_path: Path, groups: Path) -> None:
    folder = tmp_path / "vmlaunch" / "mine"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text("{}")
    held = lock_groups({1}, groups)
    assert claim(plan_with(tmp_path, "mine", 1), groups)[0] is None
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


def test_an_edited_plan_whose_parts_do_not_fit_together_is_refused_and_claims_nothing(
    tmp_path: Path, groups: Path
) -> None:
    plan = plan_with(tmp_path, "edited", 1)
    for kind in (TakeMemory, OpenGroups):
        device = Passed("gpu", PciAddress(0, 1, 0, 0), 1, PciAddress(0, 0, 16, 0), (), True, "flr")
        steps = [step for step in (*plan.steps, OpenDevices((device,))) if not isinstance(step, kind)]
        folder, answer = claim(replace(plan, steps=tuple(steps)), groups)
        assert folder is None
        assert answer["refused"][0]["code"] == "E515"
        assert not (tmp_path / "vmlaunch" / "edited").exists()


ODD = '{"steps": [1, {"op": "open-groups"}, {"op": "open-groups", "args": {"groups": [[1]]}}]}'


@pytest.mark.parametrize("plan", ["{", "[]", '{"steps": 1}', ODD])
def test_a_plan_that_is_none_claims_nothing(tmp_path: Path, plan: str) -> None:
    held = up_with(tmp_path / "odd", 1)
    (tmp_path / "odd" / "plan.json").write_text(plan)
    assert claimant({1}, tmp_path / "own") is None
    held.close()
