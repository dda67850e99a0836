"""Many VMs, one after the other, of one program: up and down again, and it holds no more after the last."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

import launcher
from launcher.cli import main
from tests.budget import LONG
from tests.conftest import STATE, Cli, processes_of

pytestmark = pytest.mark.kvm
LIVES = 200 if LONG else 20


class Held(NamedTuple):
    """By this process, and in the folder of all VMs that is its user's."""

    descriptors: int
    threads: int
    children: int
    locked: str
    entries: frozenset[str]


def held(names: frozenset[str]) -> Held:
    """Of the entries only ours: others may run VMs meanwhile."""
    status = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines() if ":\t" in line)
    entries = frozenset(os.listdir(STATE)) & names
    children, descriptors = len(processes_of(os.getpid())), len(os.listdir("/proc/self/fd"))
    return Held(descriptors, int(status["Threads"]), children, status["VmLck"].strip(), entries)


def test_after_many_lives_a_program_holds_what_it_held_before(
    cli: Cli, payload: Callable[[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    plan = launcher.make_plan(launcher.read_spec(str(cli.spec(payload("rests")))), launcher.this_host())
    one_life(plan, cli.name)
    names = frozenset({cli.name, f".{cli.name}"})
    before = held(names)
    for _ in range(LIVES):
        one_life(plan, cli.name)
    after = held(names)
    assert after == before
    capsys.readouterr()
    print(f"{LIVES} lives: {after}")


def one_life(plan: launcher.Plan, name: str) -> None:
    with launcher.bring_up(plan) as vm:
        assert vm.wait_until_running().phase == "running"
        vm.stop(force=True)
    assert main(["down", name]) == 0
    assert not (STATE / name).exists()
