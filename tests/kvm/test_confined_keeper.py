"""The keeper while its guest runs and until it has gone: what it holds, what it imports, what becomes of its bugs."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import launcher
from launcher.kernel.api import Drivers, GivenUp, VfChange
from launcher.kernel.confine import OF_KEEPERS, OF_RUNNERS, ON
from launcher.kernel.real import RealKernel
from launcher.vms.holdings import holdings
from tests.conftest import PATIENCE, ROOT, Cli
from tests.unit.executor.test_killed import live

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]
HAS_SECCOMP = "Seccomp:" in Path("/proc/self/status").read_text()


def running(cli: Cli, kernel: Path, **fields: Any) -> dict[str, Any]:
    assert cli.run("up", "-d", cli.spec(kernel, **fields)).code == 0
    return dict(cli.run("inspect", "-v", "--json", cli.name).json())


def test_keeper_and_runner_hold_what_the_report_says(cli: Cli, payload: Payload) -> None:
    told = running(cli, payload("spin"), cpus=2)
    report, keeper, runner = told["report"], told["processes"]["keeper"], told["processes"]["runner"]
    for one, measures in ((keeper, report["keeper_confinement"]), (runner, report["confinement"])):
        assert one["no_new_privs"] == (measures["no_new_privs"] == ON)
        assert one["capabilities"] == 0
        assert measures["no_capabilities"] == ON
    filters = 1 if report["keeper_confinement"]["seccomp"] == ON else 0
    assert set(keeper["filters"].values()) == {filters}
    if holdings(os.getpid()).filters and "Seccomp_filters" in Path("/proc/self/status").read_text():
        main, *threads = runner["filters"].values()
        assert main == filters
        assert len(threads) >= 2
        assert set(threads) == {2 * filters}  # those of the vCPUs, and what KVM has for them
    if report["keeper_confinement"]["landlock"] == ON:
        assert report["keeper_writes"] == [str(cli.state)]


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root stays who he is")
def test_no_process_of_a_vm_of_root_runs_as_root(cli: Cli, payload: Payload) -> None:
    told = running(cli, payload("spin"))
    pid = told["report"]["pid"]
    mine, its = OF_KEEPERS + pid, OF_RUNNERS + pid
    assert told["processes"]["keeper"]["uids"] == [mine, its, mine, 0]  # the last is that of its files
    assert told["processes"]["runner"]["uids"] == [its] * 4
    assert told["processes"]["runner"]["gids"] == [its] * 4
    assert told["report"]["confinement"]["own_user"] == ON
    running(cli, payload("spin"))
    assert cli.run("inspect", "-v", "--json", cli.name).json()["processes"]["runner"]["uids"] != [its] * 4


@pytest.mark.skipif(os.geteuid() != 0, reason="others are counted before, too")
def test_a_soft_limit_that_is_none_for_root_does_not_bind_its_runner(cli: Cli, payload: Payload) -> None:
    few = ["prlimit", "--nproc=1:", *cli.command("up", "-d", cli.spec(payload("spin"), cpus=4))]
    done = subprocess.run(few, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(
    os.geteuid() != 0 or subprocess.run(["unshare", "--user", "--map-root-user", "true"], check=False).returncode != 0,
    reason="no user name space of root's is to be had",
)
def test_where_root_knows_no_other_user_it_stays_and_that_is_said(cli: Cli, payload: Payload) -> None:
    apart = ["unshare", "--user", "--map-root-user", *cli.command("up", "-d", cli.spec(payload("spin")))]
    done = subprocess.run(apart, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    told = cli.run("inspect", "-v", "--json", cli.name).json()
    report = told["report"]
    assert report["confinement"].pop("own_user") == report["keeper_confinement"].pop("own_user") == "Invalid argument"
    assert set(report["confinement"].values()) == set(report["keeper_confinement"].values()) == {ON}
    assert told["processes"]["runner"]["capabilities"] == told["processes"]["keeper"]["capabilities"] == 0
    assert "without own_user" in cli.run("inspect", cli.name).out
    assert cli.run("down", "-t", "0s", cli.name).code == 0


def test_people_are_told_what_they_hold(cli: Cli, payload: Payload) -> None:
    assert cli.run("up", "-d", cli.spec(payload("spin"))).code == 0
    said = cli.run("inspect", "-v", cli.name)
    assert said.code == 0
    rows = [line.split("  ")[1] for line in said.out.splitlines() if line.startswith("  ") and line[2:3].isalpha()]
    assert rows[-2:] == ["keeper", "runner"]
    assert said.out.count("capabilities  none") == 2
    assert "keeper" not in [line.split()[0] for line in cli.run("inspect", cli.name).out.splitlines()[1:]]


class Watched(RealKernel):
    """Its keeper does something when it has given up."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act = act

    def give_up(self, folder: Path, drivers: Drivers, changes: Sequence[VfChange], runner: int, pidfd: int) -> GivenUp:
        done = super().give_up(folder, drivers, changes, runner, pidfd)
        self._act()
        return done


def life(cli: Cli, kernel: Path, act: Callable[[], Any]) -> tuple[int, dict[str, Any]]:
    plan = launcher.make_plan(launcher.read_spec(str(cli.spec(kernel))), launcher.this_host())
    status, report = live(plan, Watched(act))
    return status, report or {}


@pytest.mark.skipif(not HAS_SECCOMP, reason="this kernel has no seccomp")
def test_a_keeper_that_is_taken_over_finds_nothing_and_ends_its_vm_in_order(cli: Cli, payload: Payload) -> None:
    refused = []

    def break_out() -> None:
        for deed in (
            lambda: os.execv("/bin/true", ["true"]),
            lambda: os.open("/etc/passwd", os.O_RDONLY),
            lambda: os.chmod("/etc/passwd", 0o666),
            lambda: os.kill(os.getppid(), 0),
        ):
            try:
                deed()
            except PermissionError:
                refused.append(deed)
        assert len(refused) == 4

    status, report = life(cli, payload("string_io"), break_out)
    assert (status, report["end"]["how"]) == (0, "power-off")


PRELUDE = """
import os, sys
from launcher.executor.keeper.from_runner import FromRunner
from launcher.kernel.real import RealKernel
from launcher.vms.words import Running
give_up, paper = RealKernel.give_up, sys.argv.pop(1)

class Told:
    def find_spec(name, path=None, target=None):
        os.write(opened, f"{name}\\n".encode())

def watched(*words):
    global opened
    opened = os.open(paper, os.O_WRONLY | os.O_APPEND)
    done = give_up(*words)
    sys.meta_path.insert(0, Told)
    try:
        import not_there
    except ImportError:
        return done

def stumble(*words):
    {}["ä bug"]

RealKernel.give_up = watched
if sys.argv.pop(1) == "stumbles":
    FromRunner.DEEDS[Running] = stumble
from launcher.cli import command
sys.exit(command())
"""


def up(paper: Path, how: str, *words: object) -> subprocess.CompletedProcess[str]:
    """By a keeper that has imported for itself, and writes on this paper what it imports when it has given up."""
    command = [sys.executable, "-c", PRELUDE, paper, how, "up", *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_keeper_imports_nothing_when_it_has_given_up(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    """A guest that ends, one that is asked to, one that is killed; with readers and questions."""
    paper = tmp_path / "imports"
    paper.touch()
    assert up(paper, "works", "-v", cli.spec(payload("string_io"))).returncode == 0
    for force in ([], ["--kill"]):
        assert up(paper, "works", "-d", cli.spec(payload("rests"))).returncode == 0
        for verb in ("inspect", "logs"):
            assert cli.run(verb, cli.name).code == 0
        assert cli.run("down", *force, cli.name).code == 0
    assert paper.read_text().splitlines() == ["not_there"] * 3


def test_a_bug_of_a_keeper_that_has_given_up_is_told_and_its_vm_ends(
    cli: Cli, payload: Payload, tmp_path: Path
) -> None:
    paper = tmp_path / "imports"
    paper.touch()
    done = up(paper, "stumbles", cli.spec(payload("rests")))
    assert done.returncode == 70
    assert "KeyError: 'ä bug'" in done.stderr
    assert set(paper.read_text().splitlines()) <= {"not_there"}
    assert cli.run("down", cli.name).code == 0
