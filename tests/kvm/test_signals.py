"""A signal means the same to one process of a VM, to all of them and to their group; to its runner alone, nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.vms.looking import is_up
from tests.conftest import PATIENCE, ROOT, Cli, ends, processes_of

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]
WHOM: dict[str, Callable[[list[int]], list[int]]] = {
    "up": lambda family: family[:1],
    "keeper": lambda family: family[1:2],
    "all": lambda family: family,
    "all, last first": lambda family: family[::-1],
    "all, twice": lambda family: family * 2,
}

# An `up` that is interrupted when its VM has begun, and it does not listen yet.
EARLY = """
import os, signal
from launcher.cli import attach, command
made = attach.Attachment.__init__
def early(*words):
    made(*words)
    os.kill(os.getpid(), signal.SIGINT)
attach.Attachment.__init__ = early
raise SystemExit(command())
"""

# One that is interrupted before anybody asks for the answer of its keeper, which has its order.
UNANSWERED = """
import os, signal
from launcher.cli import command
from launcher.executor.launch import Launched
made = Launched.answer
def early(self):
    os.kill(os.getpid(), signal.SIGINT)
    return made(self)
Launched.answer = early
raise SystemExit(command())
"""

# One that is interrupted when it has left its VM, and looks once more what that is like.
LATE = """
import os, signal
from launcher.api import inspecting
from launcher.cli import command
made = inspecting.report_of
def late(*words):
    os.kill(os.getpid(), signal.SIGINT)
    return made(*words)
inspecting.report_of = late
raise SystemExit(command())
"""


def attached(cli: Cli, kernel: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """An `up` whose guest has said its first character, in a group of its own; it, its keeper and its runner."""
    up = cli.start("up", cli.spec(kernel), start_new_session=True)
    assert up.stdout is not None
    assert up.stdout.read(1) == "!"
    family = [up.pid, *processes_of(up.pid)]
    assert len(family) == 3
    return up, family


def send(number: signal.Signals, pids: list[int]) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue  # it has heard the first one


@pytest.mark.parametrize("whom", WHOM)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_power_button_is_pressed_once(cli: Cli, payload: Payload, number: signal.Signals, whom: str) -> None:
    up, family = attached(cli, payload("button"))
    send(number, WHOM[whom](family))
    _, err = up.communicate(timeout=PATIENCE)
    assert (up.returncode, f"powered off: {number.name}" in err) == (0, True), err
    assert all(map(ends, family))


def test_a_scheduler_that_sends_both_presses_it_once(cli: Cli, payload: Payload) -> None:
    up, family = attached(cli, payload("button"))
    for number in (signal.SIGTERM, signal.SIGHUP):  # as systemd does with SendSIGHUP=yes
        send(number, family)
    _, err = up.communicate(timeout=PATIENCE)
    assert (up.returncode, "powered off: SIG" in err) == (0, True), err


@pytest.mark.parametrize("whom", WHOM)
def test_sigint_does_not_wait_for_the_guest(cli: Cli, payload: Payload, whom: str) -> None:
    up, family = attached(cli, payload("button"))
    send(signal.SIGINT, WHOM[whom](family))
    _, err = up.communicate(timeout=PATIENCE)
    assert (up.returncode, "stopped by force: SIGINT" in err) == (128 + signal.SIGINT, True), err
    assert all(map(ends, family))


def test_one_that_comes_before_anybody_listens_is_for_the_vm(cli: Cli, payload: Payload) -> None:
    words = [sys.executable, "-c", EARLY, "up", str(cli.spec(payload("button")))]
    up = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    _, err = up.communicate(timeout=PATIENCE)
    assert (up.returncode, "stopped by force: SIGINT" in err) == (128 + signal.SIGINT, True), err


def test_one_that_comes_before_the_keeper_has_answered(cli: Cli, payload: Payload) -> None:
    words = [sys.executable, "-c", UNANSWERED, "up", str(cli.spec(payload("button")))]
    up = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    _, err = up.communicate(timeout=PATIENCE)
    assert up.returncode == 128 + signal.SIGINT
    assert err == "vmlaunch: `up` was interrupted; the host is as it was\n"
    assert not is_up(cli.state)


def test_one_that_comes_when_up_has_left_does_not_wait_for_the_vm(cli: Cli, payload: Payload) -> None:
    words = [sys.executable, "-c", LATE, "up", "-d", "--wait", "!", str(cli.spec(payload("button")))]
    up = subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    _, err = up.communicate(timeout=PATIENCE)
    assert (up.returncode, "was interrupted" in err) == (128 + signal.SIGINT, False), err
    assert is_up(cli.state)


def test_a_signal_to_the_group_is_one_to_its_up(cli: Cli, payload: Payload) -> None:
    up, _ = attached(cli, payload("button"))
    os.killpg(up.pid, signal.SIGTERM)
    _, err = up.communicate(timeout=PATIENCE)
    assert (up.returncode, "powered off: SIGTERM" in err) == (0, True), err


def test_a_runner_does_not_listen_to_signals(cli: Cli, payload: Payload) -> None:
    up, (_, _, runner) = attached(cli, payload("button"))
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(runner, number)
    assert cli.run("inspect", cli.name, "--json").json()["report"]["phase"] == "running"
    up.send_signal(signal.SIGTERM)
    up.communicate(timeout=PATIENCE)
    assert up.returncode == 0
