"""A confined runner on real KVM that says everything wrong, floods its keeper, goes deaf, or dies."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, ROOT, Cli, ends
from tests.kvm.taken_over import TIRESOME, WRONG

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]


def up(cli: Cli, kernel: Path, way: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.kvm.taken_over", way, "up", *words, str(cli.spec(kernel))]
    return subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


@pytest.mark.parametrize("way", WRONG)
def test_a_runner_that_says_what_no_runner_says_is_killed_and_the_report_kept(
    cli: Cli, payload: Payload, way: str
) -> None:
    done = up(cli, payload("rests"), way)
    assert done.returncode == 11, done.stderr
    assert "error[E555]: the runner said what no runner says, and was killed: " in done.stderr
    assert "the host is as it was" in done.stderr
    report = cli.run("inspect", "--json", cli.name).json()["report"]
    assert (report["phase"], report["end"]["how"], report["left_behind"]) == ("ended", "failed", [])
    assert not (cli.state / "control.sock").exists()


@pytest.mark.parametrize("way", TIRESOME)
def test_a_runner_that_never_stops_talking_or_listens_to_nobody_is_ended_by_order(
    cli: Cli, payload: Payload, way: str
) -> None:
    assert up(cli, payload("rests"), way, "-d").returncode == 0
    report = cli.run("inspect", "--json", cli.name).json()["report"]
    assert report["phase"] == "running"
    assert cli.run("down", "--kill", cli.name).code == 0
    assert ends(report["pid"])
    assert not cli.state.exists()


def test_a_runner_that_dies_is_lost(cli: Cli, payload: Payload) -> None:
    done = up(cli, payload("rests"), "dies")
    assert done.returncode == 11
    assert "error[E502]: the runner exited with status 3" in done.stderr


def test_a_bug_that_a_runner_tells_of_steers_no_terminal(cli: Cli, payload: Payload) -> None:
    done = up(cli, payload("rests"), "bug with escapes")
    assert done.returncode in (11, 70)
    assert "\x1b" not in done.stderr
