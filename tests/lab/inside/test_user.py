"""An ordinary user, a device that root has bound for him: plan, up, down; what he is told when a right is missing."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from launcher.values import MIB, PciAddress
from tests.conftest import EXAMPLES, NOBODY, Cli, Done, handing, ordinary_user, processes_of
from tests.lab.inside.binding import Bindings
from tests.lab.inside.passing import PCI

pytestmark = [pytest.mark.host("amd"), pytest.mark.usefixtures("host_as_before")]

DRIVE = "0000:00:02.0"
ENOUGH = 100 * MIB


class User(Cli):
    """vmlaunch as its users run it who are not root. `memlock` is how much he may lock."""

    memlock = ENOUGH
    before: Sequence[str] = ()  # what starts him

    def command(self, *words: object) -> list[str]:
        limit = [*self.before, "prlimit", f"--memlock={self.memlock}"]
        return [*limit, *ordinary_user(), "env", f"XDG_RUNTIME_DIR={self.folder / 'runtime'}", *super().command(*words)]

    @property
    def state(self) -> Path:
        return self.folder / "runtime" / "vmlaunch" / self.name

    def plan(self) -> Done:
        return self.run("plan", self.drive())

    def drive(self) -> Path:
        return self.spec(EXAMPLES / "hello.elf", memory="64MiB", devices={"drive": DRIVE})


@pytest.fixture
def group() -> Iterator[Path]:
    """The node of the drive's group, and /dev/kvm, are the user's."""
    with Bindings() as bindings:
        assert bindings.give(PciAddress.parse(DRIVE), "vfio-pci")
        node = Path("/dev/vfio") / (PCI / DRIVE / "iommu_group").resolve().name
        before = os.stat("/dev/kvm")
        for one in (node, Path("/dev/kvm")):
            os.chown(one, NOBODY, NOBODY)
            one.chmod(0o600)
        yield node
        os.chown("/dev/kvm", before.st_uid, before.st_gid)
        os.chmod("/dev/kvm", before.st_mode)


@pytest.fixture
def user(tmp_path: Path, group: Path) -> Iterator[User]:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, NOBODY, NOBODY)
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o711)
    made = User(tmp_path)
    yield made
    made.put_down()


def test_plan_up_and_down_need_no_root(user: User) -> None:
    planned = user.plan()
    assert planned.code == 0, planned.out + planned.err
    done = user.run("up", "-v", user.drive())
    assert done.code == 0, done.err
    assert "powering off" in done.out
    assert "teardown  0 failed calls" in done.err
    assert user.run("down", user.name).code == 0
    assert not user.state.exists()


def test_the_vm_and_its_state_are_the_users(user: User, group: Path, payload: Any) -> None:
    spec = user.spec(payload("button"), memory="64MiB", devices={"drive": DRIVE})
    up = user.run("up", "-d", "--json", spec)
    assert up.code == 0, up.err
    report = json.loads(up.out.splitlines()[-1])["report"]
    assert report["devices"][0]["state"] == "never touched"
    (runner,) = processes_of(report["pid"])
    assert os.stat(f"/proc/{runner}/task/{runner}/comm").st_uid == 0  # nobody else looks into one that is not dumpable
    status = Path(f"/proc/{runner}/status").read_text()
    assert f"Uid:\t{NOBODY}\t{NOBODY}" in status
    assert str(group) in {str(link.readlink()) for link in Path(f"/proc/{runner}/fd").iterdir()}
    assert user.run("down", user.name).out == f"{user.name} is down: the guest powered off\n"


def test_without_a_right_to_the_group_the_way_out_is_named_and_works(user: User, group: Path) -> None:
    os.chown(group, 0, 0)
    done = user.plan()
    assert done.code == 4
    assert f"error[E228]: drive: uid {NOBODY} may not open {group}" in done.out
    command = f"chown {NOBODY} {group}"
    assert f"as root: `{command}`" in done.out
    subprocess.run(command.split(), check=True)
    assert user.plan().code == 0


def test_without_any_right_he_runs_it_by_descriptors_that_are_handed_in(user: User, group: Path) -> None:
    for node in (group, Path("/dev/kvm")):
        os.chown(node, 0, 0)
    assert user.run("up", user.drive()).code == 4
    user.before = handing({"kvm": "/dev/kvm", "vfio": "/dev/vfio/vfio", f"vfio-{group.name}": group})
    done = user.run("up", "-v", user.drive())
    assert done.code == 0, done.err
    assert "powering off" in done.out
    assert "teardown  0 failed calls" in done.err


def test_with_too_little_memory_to_lock_the_limit_is_named(user: User) -> None:
    user.memlock = 8 * MIB
    done = user.run("up", user.drive())
    assert done.code == 1
    assert "error[E309]: 64 MiB will be locked for DMA" in done.err
    assert "the limit of this process is 8 MiB" in done.err
    assert "prlimit --pid $$ --memlock=unlimited" in done.err


def test_a_device_that_a_driver_of_the_host_has_is_for_root_to_bind(user: User, group: Path) -> None:
    with Bindings() as bindings:
        bindings.give(PciAddress.parse(DRIVE), "nvme")
        done = user.plan()
    assert done.code == 4
    assert "error[E228]: drive: only root may change the drivers of devices" in done.out
