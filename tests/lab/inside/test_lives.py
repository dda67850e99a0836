"""Life with a VM that has a device: found up, refused to another, looked at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Cli

pytestmark = pytest.mark.host("zoo")
EDU = {"edu": {"pci": "0000:00:08.0", "allow": ["no-reset"]}}
Payload = Callable[[str], Path]


def test_a_vm_that_is_up_with_its_device_is_already_up_until_its_spec_changes(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("rests"), devices=EDU)
    assert cli.run("up", "-d", spec).code == 0
    again = cli.run("up", "-d", spec)
    assert (again.code, again.out) == (0, f"{cli.name} is already up\n"), again.err
    assert cli.run("plan", spec).err == f"{cli.name} is up with this plan already\n"
    assert "is up with another plan" in cli.run("plan", spec, "--set", "memory=64MiB").err
    changed = cli.run("up", "-d", spec, "--set", "memory=64MiB")
    assert changed.code == 1
    assert "E507" in changed.err
    assert "take 64 MiB" in changed.err


@pytest.mark.short
def test_the_group_of_a_vm_is_refused_to_another_by_name(cli: Cli, payload: Payload) -> None:
    assert cli.run("up", "-d", cli.spec(payload("rests"), devices=EDU)).code == 0
    first = cli.name
    (device,) = cli.run("inspect", first, "--json").json()["report"]["devices"]
    assert (device["alias"], device["host"]) == ("edu", "0000:00:08.0")
    second = cli.run("up", "-d", cli.spec(payload("rests"), devices=EDU), "--json")
    (found,) = second.json()["diagnostics"]
    assert (second.code, found["code"]) == (1, "E529")
    assert found["message"] == f"IOMMU group {device['group']} is taken by the VM {first}, which is up"
    assert not cli.state.exists()
