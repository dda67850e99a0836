"""A limit of processes: each fork of `up` that it stands in the way of is refused in words."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES, NOBODY, PATIENCE, ROOT, ordinary_user

ALONE = str(0x7F00_0000 + os.getpid())  # the user of nothing else, also beside other tests: his processes would count

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="root has no such limit, and only root becomes another user")


@pytest.mark.parametrize(("most", "who"), [(1, "the keeper"), (2, "the process that plans")])
def test_a_fork_that_is_refused(tmp_path: Path, most: int, who: str) -> None:
    somebody = [word.replace(str(NOBODY), ALONE) for word in ordinary_user()]
    command = [*somebody, "prlimit", f"--nproc={most}", sys.executable, "-m", "launcher", "up"]
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    more = {"env": environment, "cwd": ROOT, "timeout": PATIENCE, "stdin": subprocess.DEVNULL}
    done = subprocess.run([*command, EXAMPLES / "hello.yaml"], capture_output=True, text=True, check=False, **more)
    assert done.returncode == 11
    assert done.stderr.startswith(f"error[E501]: failed to fork {who}: Resource temporarily unavailable\n")
    assert "ulimit -u" in done.stderr


def test_a_limit_that_is_too_low_for_the_vcpus_is_foretold(tmp_path: Path) -> None:
    somebody = [word.replace(str(NOBODY), ALONE) for word in ordinary_user()]
    environment = os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)}
    for most, told in ((10, "[E426]"), (11, "[W405]"), (200, "")):
        command = [*somebody, "prlimit", f"--nproc={most}", sys.executable, "-m", "launcher", "plan", "--set", "cpus=8"]
        more = {"env": environment, "cwd": ROOT, "timeout": PATIENCE, "stdin": subprocess.DEVNULL}
        done = subprocess.run([*command, EXAMPLES / "hello.yaml"], capture_output=True, text=True, check=False, **more)
        said = {code for code in ("[E426]", "[W405]") if code in done.stdout}
        assert said == ({told} if told else set()), done.stdout + done.stderr
