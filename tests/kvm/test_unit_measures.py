"""A VM under what the shipped unit leaves to it; with a device: tests/lab/inside/test_unit_measures.py."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.kernel.confine import ON
from tests.conftest import PATIENCE, ROOT, Cli
from tests.unit_measures import command

pytestmark = [pytest.mark.kvm, pytest.mark.skipif(os.geteuid() != 0, reason="the unit runs as root")]


def run(cli: Cli, *words: object) -> subprocess.CompletedProcess[str]:
    whole = [*command(), *cli.command(*words)]
    return subprocess.run(whole, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_vm_goes_up_and_down_under_the_measures_of_the_unit(cli: Cli, payload: Callable[[str], Path]) -> None:
    up = run(cli, "up", "-d", cli.spec(payload("rests")))
    assert up.returncode == 0, up.stderr
    report = cli.run("inspect", "--json", cli.name).json()["report"]
    assert set(report["confinement"].values()) == {ON}
    assert set(report["keeper_confinement"].values()) == {ON}
    down = run(cli, "down", cli.name)
    assert (down.returncode, cli.state.exists()) == (0, False), down.stderr


def test_down_ends_by_force_what_a_dead_keeper_left(cli: Cli, payload: Callable[[str], Path]) -> None:
    """As ExecStopPost does."""
    assert run(cli, "up", "-d", cli.spec(payload("spin"))).returncode == 0
    os.kill(cli.run("inspect", "--json", cli.name).json()["report"]["pid"], 9)
    down = run(cli, "down", "--kill", cli.name)
    assert (down.returncode, cli.state.exists()) == (0, False), down.stderr
