"""Descriptors handed in by whoever starts us: a user who may not open /dev/kvm runs a VM by the one he was given."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES, NOBODY, PATIENCE, ROOT, Cli, handing, ordinary_user

pytestmark = [
    pytest.mark.kvm,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user"),
    pytest.mark.skipif(bool(os.stat("/dev/kvm").st_mode & 0o006), reason="everybody may open /dev/kvm"),
]


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """XDG_RUNTIME_DIR of one who may go nowhere else below tmp_path."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    os.chown(folder, NOBODY, NOBODY)
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o711)
    return folder


def started(name: str, runtime: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """By root, as another user, with a descriptor of /dev/kvm of this name."""
    command = [*handing({name: "/dev/kvm"}), *ordinary_user(), sys.executable, "-m", "launcher", *words]
    more = {"env": os.environ | {"XDG_RUNTIME_DIR": str(runtime)}, "cwd": ROOT, "timeout": PATIENCE}
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **more)


def test_who_may_not_open_kvm_runs_a_vm_by_a_descriptor_of_it(runtime: Path) -> None:
    done = started("kvm", runtime, "up", "--hello")
    assert done.returncode == 0, done.stderr
    assert "powering off" in done.stdout
    assert (runtime / "vmlaunch" / "hello" / "report.json").stat().st_uid == NOBODY


def test_a_descriptor_by_another_name_is_not_taken_for_it(runtime: Path) -> None:
    done = started("socket", runtime, "up", str(EXAMPLES / "hello.yaml"))
    assert done.returncode == 4
    assert "/dev/kvm" in done.stderr


def test_the_runner_has_what_was_handed_in_and_nobody_else(cli: Cli, payload: Callable[[str], Path]) -> None:
    """/dev/zero and /dev/full stand for a group that this VM has no use for, and for what is not for us."""
    nodes = {"kvm": "/dev/kvm", "vfio-12": "/dev/zero", "stored": "/dev/full"}
    command = [*handing(nodes), *cli.command("up", "-d", cli.spec(payload("rests")))]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    told = cli.run("inspect", "-v", "--json", cli.name).json()
    keeper, runner = (told["processes"][name]["files"].keys() & {*nodes.values()} for name in ("keeper", "runner"))
    assert (keeper, runner) == (set(), {"/dev/kvm"})
    assert told["report"]["nodes"] == [{"path": "/dev/kvm", "aliases": [], "handed": True}]
    shown = cli.run("inspect", cli.name).out
    assert "/dev/kvm, handed in" in shown


@pytest.mark.parametrize("count", ["9" * 5000, "-1", "x", "7"])
def test_a_number_of_them_that_makes_no_sense_is_none(cli: Cli, count: str) -> None:
    """And no traceback: the node is opened."""
    given = f"export LISTEN_FDS={count} LISTEN_PID=$$ LISTEN_FDNAMES=kvm; exec"
    command = ["sh", "-c", f'{given} "$@"', "sh", *cli.command("up", "--hello")]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
