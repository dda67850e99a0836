"""The tests of two folders at the same time, in two processes: one report, in which nothing is missing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.account import WITHOUT_HYPOTHESIS
from tests.conftest import PATIENCE, ROOT

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="it takes two processors")
MEETS = "import os\ndef test_meets():\n    os.close(os.open('door', os.{}))\n"  # a FIFO opens when both are there


def session(folder: Path, kvm: str, unit: str, lab: str = "def test_last(): pass\n", *options: str):
    os.mkfifo(folder / "door")
    (folder / "pytest.ini").touch()
    for part, text in (("kvm", kvm), ("unit", unit), ("lab", lab)):
        (folder / "tests" / part).mkdir(parents=True)
        (folder / "tests" / part / f"test_of_{part}.py").write_text(text)
    beside = ("-v", "-p", "no:cacheprovider", *WITHOUT_HYPOTHESIS, "-p", "tests.beside")
    command = [sys.executable, "-m", "tests.again", *beside, *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def test_both_run_at_once_the_lab_follows_and_what_fails_there_is_told_here(tmp_path: Path) -> None:
    kvm = (
        MEETS.format("O_WRONLY")
        + """
def test_fails():
    print("its words")
    assert 1 == 2
def test_dies():
    os._exit(3)
def test_later():
    os.mkdir("over")
"""
    )
    done = session(
        tmp_path, kvm, MEETS.format("O_RDONLY"), "import os\ndef test_last(): assert os.path.exists('over')\n"
    )
    assert "2 failed, 4 passed" in done.stdout, done.stdout + done.stderr
    seen = [line.partition(".py::")[2].split()[0] for line in done.stdout.splitlines() if line.endswith("]")]
    assert seen == ["test_meets", "test_meets", "test_fails", "test_dies", "test_later", "test_last"]
    assert "assert 1 == 2" in done.stdout
    assert "its words" in done.stdout
    assert "ended in the middle, with status 3" in done.stdout


def test_one_that_has_failed_and_is_not_over_is_waited_for(tmp_path: Path) -> None:
    kvm = (
        "import pytest, time\n"
        + MEETS.format("O_WRONLY")
        + """
@pytest.fixture
def slow():
    yield
    time.sleep(1)
def test_fails(slow):
    assert 1 == 2
"""
    )
    done = session(tmp_path, kvm, MEETS.format("O_RDONLY"))
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    assert "INTERNALERROR" not in done.stdout


def test_it_ends_with_the_session_and_its_fixtures_clean_up(tmp_path: Path) -> None:
    kvm = f"""
import pytest, signal
@pytest.fixture
def held():
    yield
    open('cleaned', 'w').close()
{MEETS.format("O_WRONLY")}
    signal.pause()
test_meets = pytest.mark.usefixtures('held')(test_meets)
"""
    done = session(tmp_path, kvm, MEETS.format("O_RDONLY") + "    assert 0\n", "", "-x")
    assert "1 failed" in done.stdout, done.stdout + done.stderr
    assert (tmp_path / "cleaned").exists()
