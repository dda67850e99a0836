"""What befalls a VM and its host: processes that are stopped, no room in /run, no memory, a terminal that goes away."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.vms.folder import wait_until_down
from tests.conftest import PATIENCE, Cli, ends, kill, processes_of

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]


@pytest.fixture
def family(cli: Cli, payload: Payload) -> Iterator[tuple[int, int]]:
    """Keeper and runner of a VM whose guest never ends by itself; let go on at the end."""
    assert cli.run("up", "-d", cli.spec(payload("spin"))).code == 0
    report = cli.run("inspect", cli.name, "--json").json()["report"]
    yield report["pid"], report["runner"]
    for pid in (report["pid"], report["runner"]):
        if Path(f"/proc/{pid}").exists():
            os.kill(pid, signal.SIGCONT)


# ---- processes that are stopped ----


def test_down_does_not_wait_for_a_keeper_that_is_stopped_and_says_how_to_go_on(
    cli: Cli, family: tuple[int, int]
) -> None:
    keeper, runner = family
    os.kill(keeper, signal.SIGSTOP)
    down = cli.run("down", cli.name)
    assert down.code == 1
    assert f"is held by process {keeper} (stopped), process {runner}" in down.err
    assert f"kill -CONT {keeper}" in down.err
    os.kill(keeper, signal.SIGCONT)  # it carries out the order that it got
    wait_until_down(cli.state)
    assert ends(runner)
    assert json.loads((cli.state / "report.json").read_text())["end"]["how"] == "killed"


def test_down_kill_ends_a_vm_whose_keeper_is_stopped(cli: Cli, family: tuple[int, int]) -> None:
    keeper, runner = family
    os.kill(keeper, signal.SIGSTOP)
    down = cli.run("down", "--kill", cli.name)
    assert (down.code, down.out) == (0, f"{cli.name} is down\n")
    assert ends(keeper)
    assert ends(runner)
    assert not cli.state.exists()


def test_a_runner_that_is_stopped_is_killed_by_its_keeper(cli: Cli, family: tuple[int, int]) -> None:
    os.kill(family[1], signal.SIGSTOP)
    assert cli.run("down", "--kill", cli.name).code == 0
    assert ends(family[1])
    assert not cli.state.exists()


def test_a_runner_that_was_stopped_for_a_while_goes_on(cli: Cli, payload: Payload) -> None:
    up = cli.start("up", cli.spec(payload("echo")), stdin=subprocess.PIPE)
    assert up.stdin is not None
    assert up.stdout is not None
    up.stdin.write("a")
    up.stdin.flush()
    assert up.stdout.read(1) == "a"
    for pid in processes_of(up.pid):
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
    out, _ = up.communicate("bc.", timeout=PATIENCE)
    assert (up.returncode, out) == (0, "bc.")


def test_a_runner_whose_keeper_died_while_it_was_stopped_is_found_and_cleared_away(
    cli: Cli, family: tuple[int, int]
) -> None:
    keeper, runner = family
    os.kill(runner, signal.SIGSTOP)
    kill(keeper)
    assert ends(keeper)
    (left,) = [one for one in cli.run("doctor", "--json").json()["checks"] if cli.name in one["fact"]]
    assert left["code"] == "W540"
    assert f"process {runner} (stopped)" in left["fact"]
    assert left["remedy"] == f"`vmlaunch down --kill {cli.name}`"
    down = cli.run("down", cli.name)
    assert down.code == 1
    assert f"is held by process {runner} (stopped)" in down.err
    assert cli.run("down", "--kill", cli.name).code == 0
    assert ends(runner)
    assert not cli.state.exists()


@pytest.mark.parametrize("verb", ["inspect", "console", "logs"])
def test_who_looks_at_a_vm_whose_keeper_is_stopped_can_leave(cli: Cli, family: tuple[int, int], verb: str) -> None:
    os.kill(family[0], signal.SIGSTOP)
    looking = cli.start(verb, cli.name)
    if verb != "inspect":  # it gives up by itself
        looking.send_signal(signal.SIGTERM)
    looking.communicate(timeout=PATIENCE)
    os.kill(family[0], signal.SIGCONT)
    assert cli.run("ps", "--names").out.split().count(cli.name) == 1
