"""A process of its own, with a pipe: what it writes and how it ends comes back, and nothing of it is left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from launcher.api.child import Child, fork


def ended(child: Child) -> tuple[bytes, int]:
    said = os.read(child.reading, 100)
    os.close(child.reading)
    return said, os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])


def test_what_it_says_and_its_status_come_back() -> None:
    before = os.listdir("/proc/self/fd")
    assert ended(fork(lambda writing: os.write(writing, b"seven"))) == (b"seven", 5)
    assert os.listdir("/proc/self/fd") == before


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_no_exception_of_it_goes_up_the_stack_that_was_its_parents(error: type[BaseException], tmp_path: Path) -> None:
    def main(_: int) -> int:
        raise error

    try:
        child = fork(main)
    except BaseException:
        (tmp_path / "came up").touch()
        raise
    assert ended(child) == (b"", 130)
    assert list(tmp_path.iterdir()) == []


def test_it_has_no_end_of_its_siblings_pipes() -> None:
    first = fork(lambda _: signal.pause() or 0)

    def looks(writing: int) -> int:
        try:
            os.fstat(first.reading)
        except OSError:
            os.write(writing, b"closed")
        return 0

    assert ended(fork(looks, [first])) == (b"closed", 0)
    assert ended(fork(looks)) == (b"", 0)
    first.kill()
    os.close(first.reading)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
