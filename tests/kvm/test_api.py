"""The way for programs, as docs/api.md shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import launcher
from launcher.plan.plan import Assumption
from launcher.plan.steps import LoadModules
from launcher.record import replace
from tests.conftest import EXAMPLES, ROOT, Cli

pytestmark = pytest.mark.kvm


def example(number: int) -> str:
    return (ROOT / "docs" / "api.md").read_text().split("```python\n")[number].split("```")[0]


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_example_in_the_docs_runs_as_it_stands() -> None:
    done = run(example(1))
    assert done.returncode == 0, done.stderr
    assert done.stdout == "yes 8\npower-off all vCPUs are here; powering off\n"


def test_the_example_in_the_docs_meets_a_vm_that_another_process_started(
    cli: Cli, payload: Callable[[str], Path]
) -> None:
    assert cli.run("up", "-d", cli.spec(payload("spin"))).code == 0
    done = run(example(2).replace('"web"', repr(cli.name)))
    assert done.returncode == 0, done.stderr
    *all_of_them, phase, how = done.stdout.splitlines()
    assert f"{cli.name} running" in all_of_them
    assert (phase, how) == ("running", "killed")
    assert not cli.state.exists()


def test_what_is_public_is_there_and_a_name_that_is_no_vm_is_told() -> None:
    assert all(callable(getattr(launcher, name)) for name in launcher.__all__)
    with pytest.raises(launcher.LauncherError, match="E520"):
        launcher.folder_of("nobody-has-this-name")


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


def test_a_plan_that_no_longer_fits_is_refused_as_up_refuses_it(cli: Cli, tmp_path: Path) -> None:
    """The same plan by both doors; and another that somebody has edited."""
    plan = launcher.make_plan(launcher.read_spec(str(cli.spec(EXAMPLES / "hello.elf"))), launcher.this_host())
    stale = replace(plan, assumes=(*plan.assumes, Assumption("architecture", "arm64")))
    edited = replace(plan, steps=(plan.steps[0], LoadModules(("evil",)), *plan.steps[1:]), assumes=())
    for one, code in ((stale, "E516"), (edited, "E544")):
        with pytest.raises(launcher.LauncherError, match=code) as refused:
            launcher.bring_up(one)
        launcher.write_plan(one, str(tmp_path / "vm.plan"))
        done = cli.run("up", tmp_path / "vm.plan")
        assert (done.code, f"error[{code}]" in done.err) == (refused.value.exit_code, True), done.err
        assert not cli.state.exists()


def test_a_plan_is_saved_and_read_and_runs(cli: Cli, tmp_path: Path) -> None:
    plan = launcher.make_plan(launcher.read_spec(str(cli.spec(EXAMPLES / "hello.elf"))), launcher.this_host())
    path = tmp_path / "vm.plan"
    launcher.write_plan(plan, str(path))
    assert launcher.read_plan(str(path)) == plan
    assert cli.run("plan", path, "--json").json() == json.loads(path.read_text())
    with launcher.bring_up(launcher.read_plan(str(path))) as vm:
        report = vm.wait()
    assert report.end is not None
    assert report.end.how == "power-off"


def test_a_plan_is_not_written_over_what_is_none_nor_read_from_it(tmp_path: Path, cli: Cli) -> None:
    spec = cli.spec(EXAMPLES / "hello.elf")
    plan = launcher.make_plan(launcher.read_spec(str(spec)), launcher.this_host())
    with pytest.raises(launcher.LauncherError, match="E298"):
        launcher.write_plan(plan, str(spec))
    with pytest.raises(launcher.LauncherError, match="E515"):
        launcher.read_plan(str(spec))


def test_warnings_stop_a_plan_when_they_are_to(cli: Cli) -> None:
    spec = cli.spec(EXAMPLES / "hello.elf", cpus=len(os.sched_getaffinity(0)) + 1)
    plan = launcher.make_plan(launcher.read_spec(str(spec)), launcher.this_host())
    with pytest.raises(launcher.LauncherError, match="W402"):
        launcher.bring_up(plan, strict=True)
    unknown = replace(plan, summary=replace(plan.summary, can_run="unknown"))
    with launcher.bring_up(unknown) as vm:
        assert vm.wait().end is not None
