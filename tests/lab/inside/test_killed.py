"""kill -9 of those who hold real devices: the devices come back to their drivers, for whoever comes next."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.vms.looking import wait_until_down
from tests.conftest import EXAMPLES, PATIENCE, Cli, Done, kill, processes_of
from tests.lab.hosts import Host
from tests.lab.inside.passing import BEHIND_BRIDGE, E1000E, NVME, bindings

pytestmark = pytest.mark.usefixtures("host_as_before")

DEVICES = {"drive": NVME, "card": E1000E, "other": BEHIND_BRIDGE}
TRACE = ("strace", "-f")


def saved_plan(cli: Cli, kernel: Path, devices: dict[str, Any], target: Path) -> Path:
    """It starts faster than a spec."""
    done = cli.run("plan", "-o", target, cli.spec(kernel, memory="64MiB", devices=devices))
    assert done.code == 0, done.out + done.err
    return target


@pytest.mark.short
@pytest.mark.host("zoo", "iommufd")
def test_whoever_is_killed_while_the_guest_runs_the_devices_come_back(
    cli: Cli, payload: Callable[[str], Path], tmp_path: Path
) -> None:
    """At once by the keeper if it lives, else by `down`."""
    before = bindings()
    plan = saved_plan(cli, payload("rests"), DEVICES, tmp_path / "vm.plan")
    for victims in (("runner",), ("keeper",), ("keeper", "runner")):
        up = cli.start("up", plan)
        assert up.stdout is not None
        while "!" not in (line := up.stdout.readline(1)):
            assert line, up.communicate()
        assert bindings() != before
        keeper, runner = processes_of(up.pid)
        kill(*({"keeper": keeper, "runner": runner}[victim] for victim in victims))
        _, err = up.communicate(timeout=PATIENCE)
        wait_until_down(cli.state)
        if victims == ("runner",):
            assert up.returncode == 11, err
            assert "error[E502]" in err
            assert bindings() == before
        else:
            assert up.returncode == 12, err
            assert "error[E510]" in err
        assert cli.run("down", cli.name).code == 0
        assert bindings() == before


@pytest.mark.long
@pytest.mark.host("zoo", "iommufd")
def test_a_keeper_that_dies_at_any_line_of_its_journal_leaves_all_to_down(cli: Cli, tmp_path: Path) -> None:
    """strace kills it: at each line, on the way in and on the way out."""
    before, trace = bindings(), tmp_path / "trace"
    plan = saved_plan(cli, EXAMPLES / "hello.elf", DEVICES, tmp_path / "vm.plan")
    up(cli, plan, "-o", trace, "-e", "trace=fdatasync")
    most = trace.read_text().count("fdatasync(")
    assert most > 4
    for n in range(1, most + 1):
        done = up(cli, plan, "-o", trace, "-e", "trace=fdatasync", "-e", f"inject=fdatasync:signal=KILL:when={n}")
        wait_until_down(cli.state)
        assert "killed by SIGKILL" in trace.read_text(), (n, done)
        down = cli.run("down", cli.name)
        assert down.code == 0, (n, done, down.err)
        assert bindings() == before, (n, done, down.err)
    print(f"{most} deaths")


def up(cli: Cli, plan: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TRACE, *map(str, options), *cli.command("up", plan)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )


# One of each kind of step, as <linux/kvm.h> and <linux/vfio.h> number them.
STEPS = {
    "KVM_CREATE_VM": 0xAE01,
    "KVM_SET_USER_MEMORY_REGION": 0x4020AE46,
    "KVM_CREATE_VCPU": 0xAE41,
    "VFIO_DEVICE_SET_IRQS": 0x3B6E,
}
BY_GROUPS = {
    "VFIO_GROUP_SET_CONTAINER": 0x3B68,
    "VFIO_IOMMU_MAP_DMA": 0x3B71,
    "VFIO_GROUP_GET_DEVICE_FD": 0x3B6A,
    "VFIO_IOMMU_UNMAP_DMA": 0x3B72,
}
BY_OWN_NODES = {
    "VFIO_DEVICE_BIND_IOMMUFD": 0x3B76,
    "VFIO_DEVICE_ATTACH_IOMMUFD_PT": 0x3B77,
    "IOMMU_IOAS_MAP": 0x3B85,
    "IOMMU_IOAS_UNMAP": 0x3B86,
    "IOMMU_DESTROY": 0x3B80,
}
PARTS = 8


class Killer:
    """`calls` are what the processes of a life in which nobody dies ask of KVM and VFIO, in order."""

    def __init__(self, cli: Cli, folder: Path) -> None:
        self._cli, self._folder = cli, folder
        self._library, self._log = folder / "kill_at.so", folder / "calls"
        source = Path(__file__).with_name("kill_at.c")
        subprocess.run(["gcc", "-shared", "-fPIC", "-Wall", "-Werror", source, "-o", self._library], check=True)
        self._plan = saved_plan(cli, EXAMPLES / "hello.elf", DEVICES, folder / "vm.plan")
        assert self._live(0).code == 0
        count, *calls = struct.unpack("16384I", self._log.read_bytes())
        self.calls = calls[:count]

    def kill(self, n: int) -> None:
        """At the n-th: the client, or whoever plans for it, who have changed nothing yet, or the runner, whose keeper
        puts all back."""
        before = bindings()
        done = self._live(n)
        wait_until_down(self._cli.state)
        assert done.code in (-signal.SIGKILL, 128 + signal.SIGKILL, 11), (n, done)
        assert bindings() == before, (n, done)
        assert self._cli.run("down", "-i", self._cli.name).code == 0, (n, done)

    def _live(self, n: int) -> Done:
        self._log.write_bytes(bytes(65536))
        more = {"LD_PRELOAD": str(self._library), "KILL_AT": str(n), "KILL_LOG": str(self._log)}
        return self._cli.run("up", self._plan, env=os.environ | more)


@pytest.mark.host("zoo", "iommufd")
def test_killed_in_each_kind_of_step_the_devices_come_back(cli: Cli, tmp_path: Path, host: Host) -> None:
    killer = Killer(cli, tmp_path)
    for request in (STEPS | (BY_OWN_NODES if host.name == "iommufd" else BY_GROUPS)).values():
        killer.kill(1 + killer.calls.index(request))


@pytest.mark.long
@pytest.mark.host("zoo", "iommufd")
@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_whichever_call_the_devices_come_back(cli: Cli, tmp_path: Path, part: int) -> None:
    killer = Killer(cli, tmp_path)
    numbers = range(part + 1, len(killer.calls) + 1, PARTS)
    for n in numbers:
        killer.kill(n)
    print(f"killed at {len(numbers)} of {len(killer.calls)} calls")
