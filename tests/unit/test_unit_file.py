"""The unit file that docs/life.md shows is one that systemd takes."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
def test_systemd_has_nothing_to_say_about_the_unit(tmp_path: Path) -> None:
    text = (EXAMPLES / "vmlaunch@.service").read_text()
    (tmp_path / "vmlaunch@trainer.service").write_text(text.replace("/usr/local/bin/vmlaunch", sys.executable))
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "vmlaunch@trainer.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "trainer" in line]) == (0, [])
