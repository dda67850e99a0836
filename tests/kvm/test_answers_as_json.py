"""`--json` of the verbs about VMs: whatever the VM is at, stdout is JSON lines and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from launcher.vms.looking import wait_until_down
from tests.conftest import Cli, ends, kill

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]

WAIT = ("--wait", "never said", "--timeout", "100ms")


def codes(cli: Cli, spec: Path) -> dict[str, int]:
    """The exit code of each way to ask; each answers with at least one line of JSON, all of them objects or lists."""
    ways = {
        "ps": ("ps", "-a"),
        "inspect": ("inspect", spec),
        "logs": ("logs", spec),
        "plan": ("plan", spec),
        "diff": ("plan", spec, "--diff"),
        "up": ("up", "-d", spec),
        "changed": ("up", "-d", spec, "--set", "memory=64MiB"),
        "unsaid": ("up", spec, *WAIT),
        "down": ("down", spec),
    }
    found = {}
    for name, words in ways.items():
        done = cli.run(*words, "--json")
        said = [json.loads(done.out)] if name == "plan" else [json.loads(line) for line in done.out.splitlines()]
        assert all(isinstance(one, (dict, list)) for one in said), done.out
        assert said or name == "logs"
        found[name] = done.code
    return found


ALWAYS = {"ps": 0, "plan": 0, "up": 0, "changed": 1, "unsaid": 13, "down": 0}


def test_of_a_vm_that_is_up(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("spin"))
    cli.run("up", "-d", spec)
    assert codes(cli, spec) == ALWAYS | {"inspect": 0, "logs": 0, "diff": 0}


def test_of_a_vm_that_was_never_there(cli: Cli, payload: Payload) -> None:
    assert codes(cli, cli.spec(payload("spin"))) == ALWAYS | {"inspect": 7, "logs": 7, "diff": 7}


def test_of_a_vm_that_ended(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("spin"))
    assert cli.run("up", "-d", spec, *WAIT).code == 13
    assert codes(cli, spec) == ALWAYS | {"inspect": 0, "logs": 0, "diff": 7}


def test_of_a_vm_whose_keeper_died(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("spin"))
    cli.run("up", "-d", spec)
    keeper = cli.run("inspect", spec, "--json").json()["report"]["pid"]
    kill(keeper)
    assert ends(keeper)
    wait_until_down(cli.state)
    assert codes(cli, spec) == ALWAYS | {"inspect": 0, "logs": 0, "diff": 7}
