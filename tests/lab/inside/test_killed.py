"""kill -9 of those who hold real devices: the devices come back to their drivers, for whoever comes next."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from launcher.vms.folder import wait_until_down
from tests.conftest import EXAMPLES, PATIENCE, Cli, kill, processes_of
from tests.lab.inside.passing import bindings

pytestmark = pytest.mark.usefixtures("host_as_before")

DEVICES = {"drive": "0000:00:02.0", "card": "0000:00:03.0"}
TRACE = ("strace", "-f")


def saved_plan(cli: Cli, kernel: Path, devices: dict[str, Any], target: Path) -> Path:
    """It starts faster than a spec."""
    done = cli.run("plan", "-o", target, cli.spec(kernel, memory="64MiB", devices=devices))
    assert done.code == 0, done.out + done.err
    return target


@pytest.mark.host("amd")
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
        for victim in victims:
            kill({"keeper": keeper, "runner": runner}[victim])
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


# One for each kind of step, and the one after which the guest runs.
STEPS = (
    "VFIO_GROUP_SET_CONTAINER",
    "VFIO_IOMMU_MAP_DMA",
    "KVM_CREATE_VM",
    "KVM_SET_USER_MEMORY_REGION",
    "VFIO_GROUP_GET_DEVICE_FD",
    "VFIO_DEVICE_SET_IRQS",
    "KVM_RUN",
)
PARTS = 8


@pytest.fixture
def plan(cli: Cli, tmp_path: Path) -> Path:
    return saved_plan(cli, EXAMPLES / "hello.elf", DEVICES, tmp_path / "vm.plan")


@pytest.mark.host("amd")
def test_killed_in_each_kind_of_step_the_devices_come_back(cli: Cli, plan: Path, tmp_path: Path) -> None:
    lives = traced(cli, plan, "ioctl", tmp_path)
    (runner,) = (calls for calls in lives if any("KVM_CREATE_VM" in one for one in calls))
    for step in STEPS:
        dies(cli, plan, "ioctl", 1 + next(n for n, call in enumerate(runner) if step in call), tmp_path)
    dies(cli, plan, "fdatasync", 3, tmp_path)  # the keeper, between two drivers


@pytest.mark.long
@pytest.mark.host("amd")
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("call", ["fdatasync", "ioctl"])
def test_killed_at_whichever_call_the_devices_come_back(
    cli: Cli, plan: Path, tmp_path: Path, call: str, part: int
) -> None:
    most = max(len(calls) for calls in traced(cli, plan, call, tmp_path))
    assert most > (4 if call == "fdatasync" else 60)
    numbers = range(part + 1, most + 1, PARTS)
    for n in numbers:
        dies(cli, plan, call, n, tmp_path)
    print(f"{len(numbers)} of {most} deaths at {call}")


def traced(cli: Cli, plan: Path, call: str, folder: Path) -> list[list[str]]:
    """A life in which nobody dies: what each of its processes called."""
    up(cli, plan, "-o", folder / "trace", "-e", f"trace={call}")
    calls: dict[str, list[str]] = {}
    for line in (folder / "trace").read_text().splitlines():
        pid, rest = line.split(maxsplit=1)
        if rest.startswith(f"{call}("):
            calls.setdefault(pid, []).append(rest)
    return list(calls.values())


def dies(cli: Cli, plan: Path, call: str, n: int, folder: Path) -> None:
    """The first process to make its n-th such call dies there, whichever it is: strace kills it."""
    before, trace = bindings(), folder / "trace"
    done = up(cli, plan, "-o", trace, "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}")
    wait_until_down(cli.state)
    assert "killed by SIGKILL" in trace.read_text(), (call, n, done)
    down = cli.run("down", cli.name)
    assert down.code == 0, (call, n, done, down.err)
    assert bindings() == before, (call, n, done, down.err)


def up(cli: Cli, plan: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*TRACE, *map(str, options), *cli.command("up", plan)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        stdin=subprocess.DEVNULL,
    )
