"""The way for programs, as docs/api.md shows it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import launcher
from tests.conftest import ROOT, Cli

pytestmark = pytest.mark.kvm


def test_the_example_in_the_docs_runs_as_it_stands() -> None:
    code = (ROOT / "docs" / "api.md").read_text().split("```python\n")[1].split("```")[0]
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "yes 8\npower-off all vCPUs are here; powering off\n"


def test_a_vm_is_stopped_at_the_end_of_its_block(cli: Cli, payload: Callable[[str], Path]) -> None:
    plan = launcher.make_plan(launcher.read_spec(str(cli.spec(payload("spin")))), launcher.this_host())
    outcomes: list[str] = []
    with launcher.bring_up(plan, on_outcome=lambda one: outcomes.append(one.state)) as vm:
        assert vm.wait_until_running().phase == "running"
        with pytest.raises(launcher.LauncherError, match="E507"):
            launcher.bring_up(plan)
    assert outcomes.count("done") == len(plan.steps)
    assert cli.name not in cli.run("ps", "--names").out


def test_a_guest_can_be_spoken_to(cli: Cli, payload: Callable[[str], Path]) -> None:
    plan = launcher.make_plan(launcher.read_spec(str(cli.spec(payload("echo")))), launcher.this_host())
    said = bytearray()
    with launcher.bring_up(plan, on_console=said.extend) as vm:
        vm.write(b"hello.")
        report = vm.wait()
    assert report.end is not None
    assert (report.end.how, bytes(said)) == ("power-off", b"hello.")
