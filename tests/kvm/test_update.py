"""An update while a VM is up: its processes have all that they need of the vmlaunch that started it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Cli

pytestmark = pytest.mark.kvm


def test_a_vm_goes_on_when_the_code_that_started_it_has_gone(
    cli: Cli, payload: Callable[[str], Path], tmp_path: Path
) -> None:
    """It is powered off by its button, and its report written, by processes that can import nothing more."""
    shutil.copytree(ROOT / "launcher", tmp_path / "launcher", ignore=shutil.ignore_patterns("__pycache__"))
    alone = os.environ | {"PYTHONPATH": str(tmp_path)}
    up = cli.command("up", "-d", cli.spec(payload("button")))
    subprocess.run(up, cwd=tmp_path, env=alone, check=True, capture_output=True)
    shutil.rmtree(tmp_path / "launcher")
    assert cli.run("inspect", cli.name, "--json").json()["report"]["phase"] == "running"
    done = cli.run("down", "--json", cli.name)
    assert (done.json()["outcome"], cli.state.exists()) == ("stopped", False)
