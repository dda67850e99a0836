"""What other VMs have that only one can have: read from plans that may be of any version."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from launcher.host.facts import OtherVm
from launcher.vms.folder import StateFolder
from launcher.vms.others import other_vms

FUNCTIONS = [
    {"alias": "lan", "kind": "net", "mac": "52:54:00:00:00:01"},
    {"alias": "root", "kind": "blk", "mac": None},
    {"alias": "vsock", "kind": "vsock", "cid": 42},
]
DISKS = [
    {"alias": "root", "readonly": False, "images": [{"identity": "1:2"}, {"identity": "1:3"}]},
    {"alias": "seed", "readonly": True, "images": [{"identity": "1:4"}]},
]


def up_with(folder: Path, *steps: Any) -> StateFolder:
    """As a keeper leaves it while its VM runs."""
    claimed = StateFolder.claim(folder)
    claimed.write("plan.json", {"steps": steps})
    claimed.write("state.json", {"phase": "running"})
    return claimed


def test_a_vm_that_is_up_has_its_macs_its_context_id_and_the_images_it_writes(tmp_path: Path) -> None:
    virtio = {"op": "add-virtio", "args": {"functions": FUNCTIONS}}
    engine = {"op": "start-disk-engine", "args": {"disks": DISKS}}
    tap = {"op": "open-tap", "args": {"tap": "vmtap0"}}
    first, plain = up_with(tmp_path / "a", tap, engine, virtio), up_with(tmp_path / "b", {"op": "keep-state"})
    assert other_vms(tmp_path) == (OtherVm("a", ("52:54:00:00:00:01",), 42, ("1:2",), ("vmtap0",), ("1:3", "1:4")),)
    first.close()
    plain.close()
    assert other_vms(tmp_path) == ()


@pytest.mark.parametrize(
    "step",
    [
        1,
        {"op": "add-virtio"},
        {"op": "open-tap", "args": {"tap": 1}},
        {"op": "add-virtio", "args": {"functions": [1, {"mac": 7, "cid": True}]}},
        {"op": "start-disk-engine", "args": {"disks": [{}, {"images": []}, {"images": [1]}, {"images": [{}]}]}},
    ],
)
def test_a_plan_that_is_none_has_nothing(tmp_path: Path, step: Any) -> None:
    held = up_with(tmp_path / "odd", step)
    assert other_vms(tmp_path) == ()
    held.close()
