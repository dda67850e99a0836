"""What another user writes and locks in the places that are his: root's verbs answer as if it were not there."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.cli import main
from tests.others import EVIL, as_evil, become_evil, needs_root

pytestmark = needs_root
CLAIM = {"steps": [{"op": "open-groups", "args": {"groups": list(range(200))}}]}
HIS = Path("/run/user") / str(EVIL)


@pytest.fixture
def state() -> Iterator[Path]:
    """The folder of his state folders, as his session would have it."""
    HIS.parent.mkdir(exist_ok=True)
    HIS.mkdir(mode=0o700)
    os.chown(HIS, EVIL, EVIL)
    yield HIS / "vmlaunch"
    shutil.rmtree(HIS)


def a_pipe(state: Path) -> None:
    os.makedirs(state / "vm")
    os.mkfifo(state / "vm" / "plan.json")
    os.mkfifo(state / "vm" / "state.json")


def an_endless_file(state: Path) -> None:
    os.makedirs(state / "vm")
    os.symlink("/dev/zero", state / "vm" / "plan.json")


def a_huge_file(state: Path) -> None:
    os.makedirs(state / "vm")
    with (state / "vm" / "plan.json").open("wb") as file:
        file.truncate(1 << 40)


def many_folders(state: Path) -> None:
    for number in range(3000):
        os.makedirs(state / f"vm-{number}")
        (state / f"vm-{number}" / "plan.json").write_text(json.dumps(CLAIM))


def odd_names(state: Path) -> None:
    for name in ("\x1b]0;title\x07", "-rf", "a\nb", "\x1b[2J"):
        os.makedirs(state / name)
        (state / name / "plan.json").write_text(json.dumps(CLAIM))


def a_link_to_ours(state: Path) -> None:
    os.symlink("/run/vmlaunch", state)


@pytest.mark.parametrize("make", [a_pipe, an_endless_file, a_huge_file, many_folders, odd_names, a_link_to_ours])
def test_what_he_writes_keeps_neither_doctor_nor_ps(
    state: Path, make: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before = examined(capsys, state)
    assert as_evil(lambda: make(state))
    assert examined(capsys, state) == before
    assert main(["ps", "-a"]) == 0


def examined(capsys: pytest.CaptureFixture[str], state: Path) -> list[tuple[str, str]]:
    """Without what VMs of other tests leave meanwhile."""
    main(["doctor", "--json"])
    checks = json.loads(capsys.readouterr().out)["checks"]
    his = [one for one in checks if one["subject"] != "leftovers" or str(state) in one["fact"]]
    return [(one["subject"], one["level"]) for one in his]


def test_what_he_claims_and_locks_is_no_reason_to_refuse_root(state: Path, tmp_path: Path) -> None:
    """A folder of his that is locked, with a plan that claims all groups: as a VM that is up would look."""
    from launcher.executor.keeper.claim import check_unclaimed, claim_groups
    from launcher.vms.folder import StateFolder
    from tests.unit.vms.test_groups import plan_with

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        become_evil()
        os.makedirs(state / "vm")
        (state / "vm" / "plan.json").write_text(json.dumps(CLAIM))
        fcntl.flock(os.open(state / "vm", os.O_RDONLY), fcntl.LOCK_EX)
        for group in Path("/sys/kernel/iommu_groups").glob("*"):
            fcntl.flock(os.open(group, os.O_RDONLY), fcntl.LOCK_EX)
        os.write(writing, b"!")
        signal.pause()
    assert os.read(reading, 1) == b"!"
    try:
        check_unclaimed(plan_with(tmp_path, "mine", 7))
        folder = StateFolder.claim(tmp_path / "vmlaunch" / "mine")
        folder.groups = claim_groups({7, 8}, folder)
        folder.close()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
