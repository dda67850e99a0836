"""A guest whose vCPUs all executed HLT with interrupts off: who asks is told, and what only looks like it is not."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import launcher
from tests.conftest import PATIENCE, Cli

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]


def report(cli: Cli) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cli.run("inspect", "--json", cli.name).out)["report"]
    return found


def speaking(cli: Cli, kernel: Path, cpus: int = 1, cmdline: str = "") -> subprocess.Popen[str]:
    """Its guest has said the character after which it does what it is here for."""
    up = cli.start("up", cli.spec(kernel, boot={"kernel": str(kernel), "cmdline": cmdline}, cpus=cpus))
    assert up.stdout is not None
    assert up.stdout.read(1) == "!"
    return up


def last_report(cli: Cli, up: subprocess.Popen[str], *down: str) -> str:
    """When it has been ended, without line ends."""
    done = cli.run("down", *down, cli.name)
    assert done.code == 0, done.err
    return " ".join(up.communicate(timeout=PATIENCE)[1].split())


def is_found_halted(cli: Cli) -> bool:
    """The character comes just before."""
    patience = time.monotonic() + PATIENCE
    while not (found := report(cli)["halted"]) and time.monotonic() < patience:
        pass
    return bool(found)


@pytest.mark.parametrize(
    ("name", "cpus", "cmdline"),
    [("rests", 1, ""), ("rests", 3, ""), ("leaves_one", 2, "h"), ("leaves_one", 3, "h")],
    ids=["one", "others never started", "both", "one of them started the others"],
)
def test_all_vcpus_that_halted_for_good_are_a_state_that_is_told_and_kept(
    cli: Cli, payload: Payload, name: str, cpus: int, cmdline: str
) -> None:
    up = speaking(cli, payload(name), cpus, cmdline)
    assert is_found_halted(cli)
    out = cli.run("inspect", cli.name).out
    assert "nothing but an NMI, a reset or `down` wakes this guest" in " ".join(out.split())
    assert "every vCPU had executed HLT with interrupts off when the guest was ended" in last_report(cli, up)


@pytest.mark.parametrize(
    ("name", "cpus", "cmdline"),
    [("idles", 1, ""), ("idles", 2, ""), ("spin", 2, ""), ("leaves_one", 2, "s")],
    ids=["waits for interrupts", "the other never started", "spins", "the other one spins"],
)
def test_a_guest_that_an_interrupt_would_wake_or_that_runs_is_not_halted(
    cli: Cli, payload: Payload, name: str, cpus: int, cmdline: str
) -> None:
    up = speaking(cli, payload(name), cpus, cmdline)
    assert [report(cli)["halted"] for _ in range(3)] == [False] * 3
    assert "HLT" not in cli.run("inspect", cli.name).out
    assert "HLT" not in last_report(cli, up)


def test_vcpus_that_halt_and_start_each_other_in_turn_are_never_all_halted(cli: Cli, payload: Payload) -> None:
    """Who asks one after the other finds each of them halted, now and then."""
    up = speaking(cli, payload("take_turns"), cpus=3)
    folder = launcher.folder_of(cli.name)
    assert not any(launcher.report_of(folder).halted for _ in range(200))
    assert "HLT" not in last_report(cli, up, "--kill")


def test_a_guest_that_was_asked_goes_on(cli: Cli, payload: Payload) -> None:
    """And one that powers off was not halted, although its other vCPU never ran."""
    up = speaking(cli, payload("button"), cpus=2)
    assert report(cli)["halted"] is False
    err = last_report(cli, up)
    assert "the guest powered off: down" in err
    assert "HLT" not in err


def test_a_halted_guest_is_not_given_time_to_hear_its_power_button(cli: Cli, payload: Payload) -> None:
    """It had switched the button on before."""
    up = speaking(cli, payload("deaf"))
    assert is_found_halted(cli)
    assert "stopped by force: down" in last_report(cli, up, "-t", "600s")
