"""What VMs left behind: folders of the dead, devices that nobody has. Live VMs and their devices are none."""

from __future__ import annotations

from pathlib import Path

from launcher.api.leftovers import leftovers
from launcher.host.facts import DeviceNode, Holder, HostFacts
from launcher.record import replace
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import JOURNAL, STATE
from launcher.vms.journal import Journal
from tests.planning import host

KEPT = "0000:e1:00.0"  # with its second function on vfio-pci by driver_override, in group 77
UNDO = {"address": KEPT, "driver": "i40e", "override": None}


def found(facts: HostFacts, root: Path) -> list[tuple[str, str]]:
    return [(one.code, one.message) for one in leftovers(facts, root)]


def a_folder(root: Path, name: str, phase: str, *undo: dict[str, object]) -> Path:
    """Of a VM whose journal still has to undo these."""
    folder = root / name
    claimed = StateFolder.claim(folder)
    claimed.write(STATE, {"name": name, "phase": phase})
    journal = Journal(claimed)
    for n, one in enumerate(undo, 1):
        journal.before(n, "bind-driver", one)
    journal.close()
    claimed.close()
    return folder


def bare() -> HostFacts:
    """Nothing is on VFIO."""
    return replace(host("gpu07"), pci=(), groups=())


def test_a_dead_vm_is_named_with_what_its_journal_has_to_undo_and_the_command(tmp_path: Path) -> None:
    a_folder(tmp_path, "died", "running", UNDO)
    (one,) = leftovers(bare(), tmp_path)
    assert one.message == f"died lost its keeper; still to be put back: {KEPT} back to i40e"
    assert one.fix == "vmlaunch down died"


def test_a_vm_that_ended_is_named_when_not_all_could_be_put_back(tmp_path: Path) -> None:
    a_folder(tmp_path, "whole", "ended")
    a_folder(tmp_path, "half", "ended", UNDO)
    assert found(bare(), tmp_path) == [("W502", f"half ended; still to be put back: {KEPT} back to i40e")]


def test_a_damaged_journal_and_one_of_a_later_version_are_told(tmp_path: Path) -> None:
    (a_folder(tmp_path, "damaged", "ended") / JOURNAL).write_text("?\n")
    (a_folder(tmp_path, "later", "running") / JOURNAL).write_text('{"journal": 9, "vmlaunch": "3.0"}\n')
    (damaged, later) = found(bare(), tmp_path)
    assert damaged == ("W502", "damaged ended; still to be put back: the damaged journal")
    assert later[0] == "E512"


def test_a_runner_that_outlives_its_keeper_is_named_with_its_process(tmp_path: Path) -> None:
    """Nobody listens, and the lock is held: by this process."""
    a_folder(tmp_path, "orphan", "running")
    held = StateFolder.claim(tmp_path / "orphan")
    (one,) = leftovers(bare(), tmp_path)
    held.close()
    assert one.code == "W540"
    assert "its runner lives on: process " in one.message
    assert one.fix == "vmlaunch down --kill orphan"


def test_a_device_that_is_kept_on_vfio_is_told_unless_a_vm_has_it(tmp_path: Path) -> None:
    both = [
        ("W541", f"0000:e1:00.{n} is on vfio-pci by its driver_override, and no VM that is up has it") for n in (0, 1)
    ]
    gpu07 = host("gpu07")
    assert found(gpu07, tmp_path) == both
    a_folder(tmp_path, "mine", "ended")
    held = StateFolder.claim(tmp_path / "mine")
    held.write("plan.json", {"steps": [{"op": "open-groups", "args": {"groups": [77]}}]})
    assert found(gpu07, tmp_path) == []
    held.close()
    assert found(gpu07, tmp_path) == both
    node = DeviceNode("/dev/vfio/77", 0o600, 0, 0, usable=True, holders=(Holder(1, "qemu"),))
    assert found(replace(gpu07, device_nodes=(node,)), tmp_path) == []


def test_what_a_dead_vm_will_give_back_is_told_once(tmp_path: Path) -> None:
    a_folder(tmp_path, "died", "running", UNDO, UNDO | {"address": "0000:e1:00.1"})
    assert [code for code, _ in found(host("gpu07"), tmp_path)] == ["W502"]
