"""The process that runs the tests dies: the test that it ran fails, and another process runs the others."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import account
from tests.account import WITHOUT_HYPOTHESIS, Account
from tests.again import DEATHS
from tests.conftest import PATIENCE, ROOT, ends

AGAIN = [sys.executable, "-m", "tests.again"]
FAST = ("-p", "no:cacheprovider", *WITHOUT_HYPOTHESIS)
START = "import ctypes, os, pytest, signal\ndef test_first(): pass\n"


def session(folder: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text("\n".join((START, *tests)))
    command = [*AGAIN, "--account", folder / "account", *FAST, folder]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_crash_takes_one_test_with_it_and_the_summary_has_all(tmp_path: Path) -> None:
    done = session(tmp_path, "def test_crash(): ctypes.string_at(0)", "def test_last(): pass")
    assert done.returncode == 1
    assert "1 failed, 2 passed" in done.stdout
    assert "its process was killed by SIGSEGV\nFatal Python error: Segmentation fault" in done.stdout
    assert "in test_crash" in done.stdout
    assert "test_it.py::test_crash: its process was killed by SIGSEGV; the others run in another" in done.stderr


def test_what_has_run_does_not_run_again(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    counts = f"def test_counts():\n with open({str(ran)!r}, 'a') as it: it.write('x')"
    done = session(tmp_path, counts, "def test_fails(): assert 0", "def test_kill(): os.kill(os.getpid(), 9)")
    assert "2 failed, 2 passed" in done.stdout
    assert ran.read_text() == "x"


def test_one_that_is_stuck_in_c_is_ended(tmp_path: Path) -> None:
    stuck = """
@pytest.mark.timeout(0.2)
def test_stuck():
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    ctypes.PyDLL(None).pause()  # keeps the interpreter's lock

def test_last(): pass"""
    done = session(tmp_path, stuck)
    assert "1 failed, 2 passed" in done.stdout
    assert "its process was killed by SIGABRT" in done.stdout
    assert "in test_stuck" in done.stdout


def test_processes_that_die_again_and_again_are_given_up(tmp_path: Path) -> None:
    kill = '@pytest.mark.parametrize("n", range(8))\ndef test_kill(n): os.kill(os.getpid(), signal.SIGKILL)'
    done = session(tmp_path, kill)
    assert done.returncode == 128 + signal.SIGKILL
    assert done.stderr.count("the others run in another") == DEATHS


def test_an_exit_in_the_middle_is_a_death_too(tmp_path: Path) -> None:
    done = session(tmp_path, "def test_exit(): os._exit(0)", "def test_last(): pass")
    assert (done.returncode, "1 failed, 2 passed" in done.stdout) == (1, True)
    assert "its process ended in the middle, with status 0" in done.stdout


BREAKS = "def test_break(request): request.config.pluginmanager.register(Breaks())"
BREAKING = """
class Breaks:
    def pytest_runtest_logreport(self, report):
        if report.when == "call" and {when}: raise OSError("no more room")
"""


def test_what_pytest_itself_failed_in_runs_once_more(tmp_path: Path) -> None:
    """It says why, whether it passes then or not."""
    broken = tmp_path / "broken"
    once = BREAKING.format(when=f"not os.path.exists({str(broken)!r}) and not os.mkdir({str(broken)!r})")
    done = session(tmp_path, once, BREAKS, "def test_last(): pass")
    assert (done.returncode, "3 passed" in done.stdout) == (0, True), done.stdout
    assert "status 3; it and the others run in another" in done.stderr
    assert "OSError: no more room" in done.stderr


def test_what_pytest_fails_in_again_fails(tmp_path: Path) -> None:
    done = session(tmp_path, BREAKING.format(when="True"), BREAKS, "def test_last(): pass")
    assert (done.returncode, "1 failed, 2 passed" in done.stdout) == (1, True), done.stdout
    assert "its process ended in the middle, with status 3" in done.stdout
    assert "OSError: no more room" in done.stdout


def test_no_tests_and_a_wrong_word_are_pytests_to_answer(tmp_path: Path) -> None:
    assert subprocess.run([*AGAIN, *FAST, tmp_path], cwd=ROOT, capture_output=True, check=False).returncode == 5
    assert subprocess.run([*AGAIN, *FAST, "--nonsense"], cwd=ROOT, capture_output=True, check=False).returncode == 4


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGKILL])
def test_it_does_not_outlive_who_started_it(tmp_path: Path, signum: signal.Signals) -> None:
    (tmp_path / "test_it.py").write_text(
        "import os, signal\ndef test_waits():\n print(os.getpid(), flush=True)\n signal.pause()"
    )
    command = [*AGAIN, "-q", "-s", *FAST, tmp_path]
    outer = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert outer.stdout is not None
    inner = int(next(line for line in outer.stdout if line.strip().isdecimal()))
    outer.send_signal(signum)
    outer.wait()
    assert ends(inner)
    outer.stdout.close()


def test_a_line_that_was_broken_off_costs_itself_only(tmp_path: Path) -> None:
    path = tmp_path / "account"
    path.write_text('["started", ["a", 5]]\n["finis')
    account.append(path, account.DIED, ["a", "was killed"])
    told = Account.of(path)
    assert (told.running, told.died, told.finished) == (None, {"a": "was killed"}, set())
