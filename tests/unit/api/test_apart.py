"""A deed in a process of its own: its answer comes back, and so does how it ended."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable

import pytest

from launcher.api.apart import Answer, Ended, apart
from launcher.cli.outcome import exit_code_of
from launcher.cli.up import _unplanned
from launcher.errors import Diagnostic, NotPermitted

OPTIONS = argparse.Namespace(verb="up", spec="vm.yaml", json=False, sources={})


def as_up(deed: Callable[[], int]) -> int:
    return exit_code_of(deed, OPTIONS)


def raising(error: BaseException) -> Callable[[], str]:
    def deed() -> str:
        raise error

    return deed


def answer_of(deed: Callable[[], str]) -> str:
    found = apart(deed, as_up, nothing)
    assert isinstance(found, Answer)
    assert found.child.reap() == 0
    return found.text


def nothing() -> None:
    """While we wait."""


def killed() -> str:
    os.kill(os.getpid(), signal.SIGKILL)
    return "never"


def test_the_answer_comes_back_and_what_was_imported_does_not():
    def deed() -> str:
        import wave  # of the standard library, and needed by nobody here

        return f"{wave.__name__} {os.getpid()}"

    name, pid = answer_of(deed).split()
    assert (name, int(pid) != os.getpid(), "wave" in sys.modules) == ("wave", True, False)


def test_what_it_refuses_is_shown_and_its_exit_code_comes_back(capfd: pytest.CaptureFixture[str]):
    assert apart(raising(NotPermitted(Diagnostic("E402", "/dev/kvm may not be opened"))), as_up, nothing) == Ended(4)
    err = capfd.readouterr().err
    assert err.startswith("error[E402]: /dev/kvm may not be opened\n")
    assert err.endswith("\n1 error; nothing was changed\n")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(ZeroDivisionError("two"), 70, "this is a bug of vmlaunch"), (KeyboardInterrupt(), 130, ""),
     (BrokenPipeError(), 141, "")],
)  # fmt: skip
def test_it_ends_as_the_whole_command_would(capfd, error: BaseException, code: int, said: str):
    assert apart(raising(error), as_up, nothing) == Ended(code)
    assert said in capfd.readouterr().err


def test_one_that_is_killed_is_told_of(capsys: pytest.CaptureFixture[str]):
    ended = apart(killed, as_up, nothing)
    assert ended == Ended(128 + signal.SIGKILL, "was killed by SIGKILL")
    assert _unplanned(ended) == 128 + signal.SIGKILL
    assert capsys.readouterr().err == (
        "vmlaunch: the process that planned was killed by SIGKILL; nothing was changed\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_who_waits_for_it(number: int):
    """The pipe's other end is the child's alone once its parent has gone; when it has gone too, the pipe ends."""
    reading, writing = os.pipe()

    def deed() -> str:
        os.write(writing, b"here")
        signal.pause()
        return "never"

    if (parent := os.fork()) == 0:
        apart(deed, as_up, nothing)
        os._exit(0)
    os.close(writing)
    assert os.read(reading, 4) == b"here"
    os.kill(parent, number)
    os.waitpid(parent, 0)
    assert os.read(reading, 4) == b""
    os.close(reading)


def test_it_is_answered_before_it_has_ended():
    """What follows from the answer does not wait until the kernel has freed what the process had."""
    reading, writing = os.pipe()
    found = apart(lambda: "done", lambda deed: deed() or len(os.read(reading, 1)), nothing)
    assert isinstance(found, Answer)
    assert (found.text, os.waitpid(found.child.pid, os.WNOHANG)) == ("done", (0, 0))
    os.write(writing, b"!")
    assert found.child.reap() == 1
    os.close(reading)
    os.close(writing)


def test_nothing_of_it_is_left():
    before = os.listdir("/proc/self/fd")
    assert answer_of(lambda: "done") == "done"
    assert os.listdir("/proc/self/fd") == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
