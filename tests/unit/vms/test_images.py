"""An image is one VM's that writes it, or theirs that read it, also if they start in the same moment."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.executor.keeper.claim import claim
from launcher.plan.plan import Plan
from launcher.plan.steps import GiveMemory, KeepState, TakeMemory
from launcher.plan.virtio import AddVirtio, Image, ServedDisk, StartDiskEngine, Virtio, images_of, written_images
from launcher.record import replace
from launcher.values import PciAddress
from launcher.vms.images import LOCKS, ImageTaken, lock_images
from tests.others import EVIL, as_evil, let_pass, needs_root
from tests.unit.executor.runner.test_runner import plan_of

ROOT, BASE, SEED = (Image(f"/vms/{name}", "raw", f"1:{number}") for number, name in enumerate(("root", "base", "seed")))


def disk(alias: str, *images: Image, readonly: bool = False) -> ServedDisk:
    return ServedDisk(alias, images, readonly, False, 1)


def engine(*disks: ServedDisk) -> StartDiskEngine:
    return StartDiskEngine("/usr/bin/qemu-storage-daemon", 0, 0, disks, 0)


def with_disks(folder: Path, name: str, *disks: ServedDisk) -> Plan:
    """As the planner makes it: memory is shared, and each disk has its function."""
    _, *rest = plan_of(folder).steps
    places = (
        (one.alias, PciAddress(0, 0, number, 0), 0xC0000000 + number * 0x8000) for number, one in enumerate(disks, 1)
    )
    functions = tuple(Virtio(alias, "blk", "vhost-user", guest, bar, 1) for alias, guest, bar in places)
    steps = [replace(one, shared=True) if isinstance(one, TakeMemory) else one for one in rest]
    at = next(number for number, one in enumerate(steps) if isinstance(one, GiveMemory)) + 1
    keep = KeepState(str(folder / "vmlaunch" / name))
    whole = (keep, engine(*disks), *steps[:at], AddVirtio(functions), *steps[at:])
    return replace(plan_of(folder), name=name, steps=whole)


def test_only_the_first_of_a_chain_is_written_and_only_by_who_may() -> None:
    steps = (engine(disk("root", ROOT, BASE)), engine(disk("seed", SEED, readonly=True)))
    assert written_images(steps) == {"1:0": True, "1:1": False, "1:2": False}
    assert [one.path for one in images_of(steps)] == ["/vms/root", "/vms/base", "/vms/seed"]
    assert written_images((engine(disk("a", BASE, readonly=True), disk("b", BASE)),)) == {"1:1": True}


def test_who_writes_has_it_alone_and_readers_have_it_together(tmp_path: Path) -> None:
    (writer,) = lock_images({"1:0": True, "1:1": False}, tmp_path)
    (reader,) = lock_images({"1:1": False, "1:2": False}, tmp_path)
    for images, taken in (({"1:3": True, "1:0": False}, "1:0"), ({"1:1": True}, "1:1"), ({"1:2": True}, "1:2")):
        with pytest.raises(ImageTaken) as refused:
            lock_images(images, tmp_path)
        assert refused.value.identity == taken
    os.close(reader)
    (other,) = lock_images({"1:2": True, "1:3": True}, tmp_path)
    for one in (writer, other):
        os.close(one)
    assert lock_images({}, tmp_path) == ()


def test_a_lock_lives_as_long_as_the_last_process_that_has_it(tmp_path: Path) -> None:
    (lock,) = lock_images({"1:0": True}, tmp_path)
    copy = os.dup(lock)
    os.close(lock)
    with pytest.raises(ImageTaken):
        lock_images({"1:0": False}, tmp_path)
    os.close(copy)
    os.close(lock_images({"1:0": False}, tmp_path)[0])


def test_a_vm_that_would_write_an_image_of_another_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    first, _ = claim(with_disks(tmp_path, "first", disk("root", ROOT, BASE)))
    assert first is not None
    second, answer = claim(with_disks(tmp_path, "second", disk("data", BASE)))
    assert second is None
    (found,) = answer.diagnostics
    assert (found.code, found.message.partition(" is taken")[0]) == ("E617", "/vms/base")
    assert not (tmp_path / "vmlaunch" / "second").exists()
    shared, _ = claim(with_disks(tmp_path, "third", disk("data", SEED, BASE)))
    assert shared is not None
    for one in (first, shared):
        one.close()
    again, _ = claim(with_disks(tmp_path, "second", disk("data", BASE)))
    assert again is not None
    again.close()


def test_who_writes_it_is_named_when_its_plan_is_there(tmp_path: Path) -> None:
    first, _ = claim(with_disks(tmp_path, "first", disk("root", ROOT)))
    assert first is not None
    disks = [{"readonly": False, "images": [{"identity": ROOT.identity}]}]
    first.write("plan.json", {"steps": [{"op": "start-disk-engine", "args": {"disks": disks}}]})
    first.write("state.json", {"phase": "running"})
    _, answer = claim(with_disks(tmp_path, "second", disk("root", ROOT, readonly=True)))
    assert answer.diagnostics[0].message == "/vms/root is taken by the VM first, which is up"
    assert answer.diagnostics[0].help[0] == "stop it with `vmlaunch down first`"
    first.close()


@needs_root
def test_nobody_else_can_hold_a_lock_against_us(tmp_path: Path) -> None:
    lock_images({"1:0": True}, tmp_path)
    let_pass(tmp_path)
    assert not as_evil(lambda: os.close(os.open(tmp_path / LOCKS / "locks", os.O_RDONLY)))
    assert (tmp_path / LOCKS).stat().st_uid != EVIL
