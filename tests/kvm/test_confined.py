"""The runner while its guest runs: what it has given up, what happens when it does what it may not."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import launcher
from launcher.api.hosts import this_host
from launcher.kernel.confine import ON
from launcher.kernel.real import RealKernel
from tests.conftest import Cli, processes_of
from tests.unit.executor.test_killed import live

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]


def status_of(task: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)


def test_every_thread_of_the_runner_has_given_up_what_the_report_says(cli: Cli, payload: Payload) -> None:
    up = cli.run("up", "-d", "--json", cli.spec(payload("spin"), cpus=2))
    report = json.loads(up.out.splitlines()[-1])["report"]
    (runner,) = processes_of(report["pid"])
    threads = [status_of(task) for task in Path(f"/proc/{runner}/task").iterdir()]
    assert len(threads) >= 3
    for status in threads:
        assert int(status["NoNewPrivs"]) == (report["confinement"]["no_new_privs"] == ON)
        assert int(status["Seccomp"]) == (2 if report["confinement"]["seccomp"] == ON else 0)
        assert report["confinement"]["no_capabilities"] == ON
        assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}


def test_who_asks_is_told_how_the_runner_was_confined(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", "-v", cli.spec(payload("string_io")))
    (line,) = [line for line in done.err.splitlines() if line.startswith("  confined")]
    assert "no_capabilities" in line


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks into a process that is not dumpable")
def test_a_core_of_the_runner_would_be_without_guest_memory(cli: Cli, payload: Payload) -> None:
    up = cli.run("up", "-d", "--json", cli.spec(payload("spin"), memory="48MiB"))
    (runner,) = processes_of(json.loads(up.out.splitlines()[-1])["report"]["pid"])
    maps = Path(f"/proc/{runner}/smaps").read_text().split("VmFlags: ")
    (flags,) = [after.split("\n")[0] for before, after in pairwise(maps) if f" {48 << 10} kB" in before]
    assert {"dd", "dc"} <= set(flags.split())  # not in a dump, not in a child


def test_state_and_socket_are_for_their_owner_only(cli: Cli, payload: Payload) -> None:
    cli.run("up", "-d", cli.spec(payload("spin")))
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in (cli.state, *cli.state.iterdir())}
    assert modes.pop(cli.name) == 0o700
    assert modes["control.sock"] == 0o600
    assert set(modes.values()) == {0o600}, modes


class Breakout(RealKernel):
    """A guest that has taken its runner over."""

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self._act = act

    def confine(self, *, virtio: bool = False) -> dict[str, str]:
        done = super().confine(virtio=virtio)
        self._act()
        return done


def life(cli: Cli, kernel: Path, act: Callable[[], Any]) -> tuple[int, dict[str, Any]]:
    plan = launcher.make_plan(launcher.read_spec(str(cli.spec(kernel))), launcher.this_host())
    status, report = live(plan, Breakout(act))
    assert report is not None
    return status, report


@pytest.mark.skipif("Seccomp:" not in Path("/proc/self/status").read_text(), reason="this kernel has no seccomp")
def test_a_runner_that_makes_a_forbidden_call_is_stopped_and_that_is_said(cli: Cli, payload: Payload) -> None:
    status, report = life(cli, payload("spin"), os.fork)
    assert status == 11
    (told,) = report["diagnostics"]
    assert told["code"] == "E535"
    assert signal.SIGSYS.name in told["message"]
    assert report["end"]["how"] == "lost"


def test_a_runner_that_looks_for_files_finds_none_and_its_bug_is_told(cli: Cli, payload: Payload) -> None:
    status, report = life(cli, payload("spin"), lambda: {}["nothing"])
    assert status == 70
    assert report["end"]["detail"] == "the runner failed in a way it should not"


def test_a_guest_that_must_be_confined_runs_where_the_kernel_has_all_measures(cli: Cli, payload: Payload) -> None:
    """Its own answer says whether it has: this machine may be any."""
    found = this_host(devices=False).confinement
    has_all = found is not None and found.landlock > 0 and found.seccomp
    done = cli.run("up", "-v", cli.spec(payload("string_io"), confine="required"))
    assert done.code == (0 if has_all else 1), done.err
    assert ("[E427]" in done.err) is not has_all
    if has_all:
        (line,) = [line for line in done.err.splitlines() if line.startswith("  confined")]
        assert "without" not in line


def test_what_the_kernel_is_asked_is_what_it_then_does(cli: Cli, payload: Payload) -> None:
    found = this_host(devices=False).confinement
    assert found is not None
    up = cli.run("up", "-d", "--json", cli.spec(payload("spin")))
    done = json.loads(up.out.splitlines()[-1])["report"]["confinement"]
    assert (found.landlock > 0, found.seccomp) == (done["landlock"] == ON, done["seccomp"] == ON)
