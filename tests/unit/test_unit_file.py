"""The unit file of docs/life.md is one that systemd takes; what it does not take away has a reason there."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.planner.backend import CONTROL_NODES
from tests.conftest import ROOT
from tests.unit_measures import UNIT

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")
MOST_EXPOSURE = 40  # of 100: systemd 252 says 29, others count other things


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    path = tmp_path / "vmlaunch@trainer.service"
    path.write_text(UNIT.read_text().replace("/usr/local/bin/vmlaunch", sys.executable))
    return path


def analyze(*words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True, check=False)


def test_systemd_has_nothing_to_say_about_the_unit(unit: Path) -> None:
    done = analyze("verify", unit)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "trainer" in line]) == (0, [])


def test_a_vm_may_open_what_either_way_to_pass_devices_takes() -> None:
    """By the names of /proc/devices: vfio has groups, vfio-dev the own nodes of functions (seen on Linux 6.12)."""
    allowed = {line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith("DeviceAllow=")}
    nodes = ("/dev/kvm", *CONTROL_NODES.values(), "char-vfio", "char-vfio-dev")
    assert allowed == {f"{one} rw" for one in nodes}


def test_each_measure_that_is_not_taken_has_a_reason_in_the_docs(unit: Path) -> None:
    done = analyze("security", "--offline=true", "--json=short", unit)
    if done.returncode:
        pytest.skip("this systemd does not look at files (before 250)")
    found = [one for one in json.loads(done.stdout) if float(one["exposure"] or 0)]
    reasons = (ROOT / "docs" / "life.md").read_text()
    assert [one["name"] for one in found if f"`{one['name'].rstrip('=')}`" not in reasons] == []
    assert analyze("security", "--offline=true", f"--threshold={MOST_EXPOSURE}", unit).returncode == 0
