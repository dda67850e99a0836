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


@pytest.mark.long
@pytest.mark.host("amd")
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
