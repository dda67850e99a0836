"""`up` and `down` where somebody else has had a hand: in a saved plan, in a shared folder, in a state folder."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import EXAMPLES, NOBODY, ROOT, Cli, Done, ordinary_user
from tests.others import EVIL, let_pass, needs_root

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]


def edited(cli: Cli, folder: Path, edit: Callable[[dict[str, Any]], object]) -> Path:
    """A plan of ours, changed, and nothing left in it that would have to hold."""
    path = folder / "vm.plan"
    assert cli.run("plan", cli.spec(EXAMPLES / "hello.elf"), "-o", path).code == 0
    plan = json.loads(path.read_text()) | {"assumes": [], "diagnostics": []}
    edit(plan)
    path.write_text(json.dumps(plan))
    return path


def step_of(plan: dict[str, Any], op: str) -> Any:
    return next(one["args"] for one in plan["steps"] if one["op"] == op)


def put_in(plan: dict[str, Any], op: str, by: str, **args: Any) -> None:
    plan["steps"].insert(1, {"n": 2, "op": op, "by": by, "args": args, "undo": {}, "device": None, "text": ""})


def test_a_plan_that_only_lost_its_assumptions_runs_as_its_spec_does(cli: Cli, tmp_path: Path) -> None:
    assert cli.run("up", edited(cli, tmp_path, lambda plan: None)).code == 0


def test_a_plan_cannot_keep_its_state_where_somebody_else_can_swap_it(cli: Cli, tmp_path: Path) -> None:
    """He would have it write any file as root, and obey a journal of his own."""
    his = tmp_path / "evil" / "vmlaunch"

    def elsewhere(plan: dict[str, Any]) -> None:
        step_of(plan, "keep-state")["folder"] = f"{his}/{plan['name']}"

    done = cli.run("up", "-d", edited(cli, tmp_path, elsewhere))
    assert done.code == 10, done.err
    assert "error[E544]" in done.err
    assert "~ keep-state" in done.err
    assert not his.exists()
    assert not cli.state.exists()


@pytest.mark.parametrize(
    ("op", "args"),
    [
        ("load-modules", {"modules": ["/home/evil/evil.ko"]}),
        ("bind-driver", {"address": "0000:00:01.0", "before": None, "driver": "vfio-pci", "override": None}),
        ("open-groups", {"groups": [1]}),
    ],
)
def test_a_plan_cannot_do_what_its_spec_does_not_ask_for(
    cli: Cli, tmp_path: Path, op: str, args: dict[str, Any]
) -> None:
    done = cli.run("up", edited(cli, tmp_path, lambda plan: put_in(plan, op, "keeper", **args)))
    assert done.code == 10, done.err
    assert "error[E544]" in done.err
    assert "nothing was changed" in done.err
    assert not cli.state.exists()


def test_a_vm_of_a_saved_plan_is_found_by_ps_and_down(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    path = tmp_path / "vm.plan"
    assert cli.run("plan", cli.spec(payload("spin")), "-o", path).code == 0
    assert cli.run("up", "-d", path).code == 0
    assert cli.name in cli.run("ps", "--names").out.split()
    assert cli.run("down", "--kill", path).out == f"{cli.name} is down: stopped by force\n"


def test_a_file_in_the_place_of_the_state_folder_is_told_by_up_and_down(cli: Cli) -> None:
    spec = cli.spec(EXAMPLES / "hello.elf")
    cli.state.parent.mkdir(mode=0o700, exist_ok=True)
    cli.state.write_text("")
    try:
        for verb in ("up", "down"):
            done = cli.run(verb, spec)
            assert done.code == 1, done.err
            assert f"error[E541]: state is not kept below {cli.state}: it is no folder" in done.err
    finally:
        cli.state.unlink()


def test_what_somebody_put_into_the_folder_is_left_and_named_and_keeps_nobody_from_up(
    cli: Cli, payload: Payload
) -> None:
    spec = cli.spec(payload("spin"))
    assert cli.run("up", "-d", spec).code == 0
    (cli.state / "notes.txt").write_text("mine")
    done = cli.run("down", "--kill", cli.name)
    assert done.code == 11, done.err
    assert "error[E542]" in done.err
    assert "notes.txt" in done.err
    assert os.listdir(cli.state) == ["notes.txt"]
    assert cli.name not in cli.run("ps", "-a").out
    assert cli.run("up", "-d", spec).code == 0
    assert cli.name in cli.run("ps").out
    (cli.state / "notes.txt").unlink()
    assert cli.run("down", "--kill", cli.name).code == 0
    assert not cli.state.exists()


def run_by(before: list[str], command: list[str]) -> Done:
    done = subprocess.run([*before, *command], capture_output=True, text=True, check=False, cwd=ROOT)
    return Done(done.returncode, done.stdout, done.stderr)


@needs_root
@pytest.mark.parametrize("owner", [EVIL, NOBODY])
def test_in_a_folder_that_somebody_else_made_first_nobody_keeps_state(cli: Cli, tmp_path: Path, owner: int) -> None:
    """XDG_RUNTIME_DIR in a place for all."""
    let_pass(tmp_path)
    shared = tmp_path / "shared"
    (shared / "vmlaunch" / "vm").mkdir(parents=True)
    shared.chmod(0o1777)
    for folder in (shared / "vmlaunch", shared / "vmlaunch" / "vm"):
        folder.chmod(0o777 if owner == EVIL else 0o700)
        os.chown(folder, owner, owner)
    before = [*ordinary_user(), "env", f"XDG_RUNTIME_DIR={shared}"]
    for words in (["ps"], ["inspect", "vm"], ["down", "vm"]):
        done = run_by(before, cli.command(*words))
        assert ("error[E541]" in done.err) == (owner == EVIL), done.err
        assert "Traceback" not in done.err
