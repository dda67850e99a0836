"""Devices that are passed by iommufd: its calls, whose memory it counts, and users who were given nothing but nodes.

That all else is as by type1 shows the host `iommufd`, on which the tests of devices run by iommufd.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.api.hosts import this_host
from launcher.planner.backend import shares_bars
from launcher.values import PciAddress
from launcher.vms.holders import openers
from tests.conftest import EXAMPLES, NOBODY, Cli, handing
from tests.lab.inside.binding import Bindings
from tests.lab.inside.passing import E1000E, EDU, NVME, PCI, RTL8139
from tests.lab.inside.test_user import User

pytestmark = [pytest.mark.host("iommufd"), pytest.mark.usefixtures("host_as_before"), pytest.mark.long]

IOMMUFD, KVM = Path("/dev/iommu"), Path("/dev/kvm")
THREE = {"disk": NVME, "nic": E1000E, "card": {"pci": RTL8139, "allow": ["no-reset"]}}


def test_the_plan_says_by_what_and_what_devices_do_without(cli: Cli) -> None:
    plan = cli.run("plan", cli.spec(EXAMPLES / "hello.elf", memory="64MiB", devices=THREE))
    assert plan.code == 0, plan.out + plan.err
    assert "VFIO iommufd" in plan.out
    assert ("warning[W323]" in plan.out) is not shares_bars(this_host(), "iommufd")
    assert re.search(r"open 3 devices of groups [\d ]+ by iommufd, in one address space", plan.out), plan.out
    usual = cli.run("plan", cli.spec(EXAMPLES / "hello.elf", memory="64MiB", devices=THREE, vfio="auto"))
    assert "VFIO type1" in usual.out


# By number (linux/vfio.h, linux/iommufd.h): strace has other names for some.
BIND, ATTACH, DETACH, MAP, UNMAP, DESTROY = "0x3b76", "0x3b77", "0x3b78", "0x3b85", "0x3b86", "0x3b80"
# Whether it has an interrupt of this kind, whether its bus can be reset, whether there are dma-bufs of its BARs.
QUESTIONS = ("0x3b6d", "0x3b70", "0x3b75")


def test_no_call_of_a_life_with_three_devices_fails(cli: Cli, tmp_path: Path) -> None:
    """But those that ask whether there is something."""
    plan, trace = tmp_path / "vm.plan", tmp_path / "trace"
    made = cli.run("plan", "-o", plan, cli.spec(EXAMPLES / "hello.elf", memory="64MiB", devices=THREE))
    assert made.code == 0, made.err
    words = ["strace", "-f", "-T", "-X", "raw", "-o", str(trace), "-e", "trace=ioctl", *cli.command("up", "-v", plan)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 failed calls" in done.stderr
    calls = re.findall(r"ioctl\(\w+, (0x3b\w\w), .*\) += (\S+).* <([\d.]+)>", trace.read_text())
    for number, result, seconds in calls:
        print(f"{number} {seconds} s{', failed' if result == '-1' else ''}")
    assert {number for number, result, _ in calls if result == "-1"} <= set(QUESTIONS)
    numbers = [number for number, *_ in calls]
    assert [numbers.count(one) for one in (BIND, ATTACH, DETACH)] == [3, 3, 3]
    assert [numbers.count(one) for one in (MAP, UNMAP, DESTROY)] == [1, 1, 1]  # RAM once, for all of them


@pytest.fixture
def nodes() -> Iterator[dict[str, Path]]:
    """The own nodes of a drive and of edu, which root has bound; they stay root's."""
    with Bindings() as bindings:
        for address in (NVME, EDU):
            assert bindings.give(PciAddress.parse(address), "vfio-pci")
        names = {address: next((PCI / address / "vfio-dev").iterdir()).name for address in (NVME, EDU)}
        yield {address: Path("/dev/vfio/devices") / name for address, name in names.items()}


@pytest.fixture
def user(tmp_path: Path, nodes: dict[str, Path]) -> Iterator[User]:
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, NOBODY, NOBODY)
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o711)
    before = {one: os.stat(one) for one in (IOMMUFD, KVM)}
    for one in before:
        os.chown(one, 0, 0)
        one.chmod(0o600)
    made = User(tmp_path)
    yield made
    made.put_down()
    for one, status in before.items():
        os.chown(one, status.st_uid, status.st_gid)
        one.chmod(status.st_mode & 0o777)


def given(nodes: dict[str, Path], *addresses: str, **more: Path) -> list[str]:
    names = {f"vfio-cdev-{address.replace(':', '-')}": nodes[address] for address in addresses}
    return handing({"kvm": KVM, "iommufd": IOMMUFD, **names, **more})


def spec(user: User, address: str, kernel: Path = EXAMPLES / "hello.elf", **more: str) -> Path:
    device = {"pci": address, "allow": ["no-reset"]}
    return user.spec(kernel, memory="64MiB", devices={"device": device}, **more)


def test_an_ordinary_user_runs_it_by_nodes_that_are_handed_in(user: User, nodes: dict[str, Path]) -> None:
    """He may open none of them, and says nothing of iommufd himself."""
    refused = user.run("up", spec(user, NVME))
    assert refused.code == 4, refused.err
    user.before = given(nodes, NVME)
    done = user.run("up", "-v", spec(user, NVME))
    assert done.code == 0, done.err
    assert "by iommufd" in done.err
    assert "powering off" in done.out
    assert "teardown  0 failed calls" in done.err


def test_who_was_handed_both_has_the_device_by_its_own_node_though_its_group_is_open(
    user: User, nodes: dict[str, Path]
) -> None:
    """BIND is EBUSY while anybody has the group open, and `up`, keeper and runner were all given it."""
    group = (PCI / NVME / "iommu_group").resolve().name
    both = {"vfio": Path("/dev/vfio/vfio"), f"vfio-{group}": Path("/dev/vfio") / group}
    user.before = given(nodes, NVME, **both)
    done = user.run("up", "-v", spec(user, NVME, vfio="iommufd"))
    assert done.code == 0, done.err
    assert f"{nodes[NVME]}, of device, handed in" in done.err
    assert "teardown  0 failed calls" in done.err


def test_the_runner_alone_has_what_was_handed_in(
    user: User, nodes: dict[str, Path], payload: Callable[[str], Path]
) -> None:
    """Root sees who has it open. Another VM cannot have it, though another descriptor of it is handed in."""
    user.before = given(nodes, NVME)
    first = user.run("up", "-d", "--json", spec(user, NVME, payload("rests"), vfio="iommufd"))
    assert first.code == 0, first.out + first.err
    runner = json.loads(first.out.splitlines()[-1])["report"]["runner"]
    assert openers(str(nodes[NVME])) == (runner,)
    assert openers("/dev/iommu") == (runner,)


def test_a_name_that_another_device_has_by_now_is_not_taken_for_its_own(cli: Cli, nodes: dict[str, Path]) -> None:
    """As in a container that was given the node of one device by the name of another's."""
    mount = f"mount --bind {nodes[EDU]} {nodes[NVME]}"
    command = cli.command(
        "up", cli.spec(EXAMPLES / "hello.elf", memory="64MiB", devices={"disk": NVME}, vfio="iommufd")
    )
    words = ["unshare", "-m", "sh", "-c", f'{mount} && exec "$@"', "sh", *command]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 11, done.stdout + done.stderr
    assert "E524" in done.stderr
    assert f"{nodes[NVME]} is of another device" in done.stderr


def test_a_node_of_another_device_is_none(user: User, nodes: dict[str, Path]) -> None:
    user.before = handing({"kvm": KVM, "iommufd": IOMMUFD, f"vfio-cdev-{NVME.replace(':', '-')}": nodes[EDU]})
    assert user.run("up", spec(user, NVME)).code == 4


def test_what_a_user_has_locked_counts_together(
    user: User, nodes: dict[str, Path], payload: Callable[[str], Path]
) -> None:
    """64 MiB by each of two VMs, and a limit of 100."""
    for one in (IOMMUFD, KVM, *nodes.values()):
        os.chown(one, NOBODY, NOBODY)
    first = user.run("up", "-d", spec(user, NVME, payload("rests"), vfio="iommufd"))
    assert first.code == 0, first.err
    done = user.run("plan", spec(user, EDU, vfio="iommufd"))
    assert done.code == 1, done.out
    assert f"beside 64 MiB that is locked now by all processes of uid {NOBODY}" in done.out
