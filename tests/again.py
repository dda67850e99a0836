"""`python -m tests.again [--account FILE] PYTEST ARGUMENTS`: pytest, in a process of its own; its exit status.

When that process dies, the test that it ran fails, and another process runs the others; when pytest itself has failed,
which is no test's doing, that test runs once more. When it is stuck, in C where
pytest's own limit for a test does not reach, it is ended. FILE is a new one, for those who want to read how it goes
(tests/account.py).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import IO, Any

import pytest

from tests import account, speed
from tests.account import Account
from tests.lab.boot import INSIDE, has_ended
from tests.lab.session import HERE

DEATHS = 5  # of processes in one session
TICK = 1.0  # seconds between two looks at a process
PATIENCE = 1.5  # limits of a test until its process is stuck
PULSE = 10.0  # seconds between two signs of life


def main(arguments: list[str]) -> int:
    speed.tell(speed.after_boot(_boot()))  # once, for all processes
    if arguments[:1] == ["--account"]:
        return session(Path(arguments[1]), arguments[2:])
    with tempfile.TemporaryDirectory(prefix="vmlaunch-tests-") as folder:
        return session(Path(folder) / "account", arguments)


def _boot() -> float:
    """Seconds that it took when this is a lab host."""
    ready = Path(f"{INSIDE}/ready")
    return float(ready.read_text().split()[0]) if os.environ.get(HERE) and ready.exists() else 0.0


def session(path: Path, arguments: list[str]) -> int:
    again: set[str] = set()
    for _ in range(DEATHS):
        status = _run(path, arguments)
        known = Account.of(path)
        if known.ended or known.running is None:
            break
        how = f"its process {_how(status)}"
        words = account.last_words(path).read_text(errors="replace").splitlines()[: account.LINES]
        once_more = status == pytest.ExitCode.INTERNAL_ERROR and known.running not in again
        again.add(known.running)
        kind, which = (account.ONCE_MORE, "it and the others") if once_more else (account.DIED, "the others")
        account.append(path, kind, [known.running, "\n".join((how, *words))])
        said = "\n".join((f"{how}; {which} run in another", *(words if once_more else ())))
        print(f"\ntests: {known.running}: {said}", file=sys.stderr, flush=True)
    return status if status >= 0 else 128 - status


def _run(path: Path, arguments: list[str]) -> int:
    """^C is for pytest to act on; SIGTERM is for us both."""
    command = ["setpriv", "--pdeathsig", "TERM", sys.executable, "-m", "pytest", "-p", "tests.account", *arguments]
    path.touch()
    with path.open("rb") as lines, closing(Beside()) as beside:
        lines.seek(0, os.SEEK_END)  # what comes is of this process
        process = subprocess.Popen(command, env=os.environ | {account.VARIABLE: str(path)})
        signal.signal(signal.SIGINT, lambda number, frame: None)
        signal.signal(signal.SIGTERM, lambda number, frame: _end(process))
        _watch(process, path, lines, beside)
        return process.wait()


class Beside:
    """A session that a pytest asks for (tests/beside.py). It is no child of that one, whose tests count theirs."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._account = Path()

    def see(self, kind: str, content: Any) -> None:
        if kind == account.BESIDE:
            path, said, command = content
            self._account = Path(path)
            with open(said, "wb") as out:
                self._process = subprocess.Popen(
                    ["setpriv", "--pdeathsig", "TERM", *command],
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # ^C ends the pytest that waits for it, and then it
                )

    def look(self) -> None:
        if self._process and self._process.poll() is not None:
            account.append(self._account, account.OVER, self._process.returncode)
            self._process = None

    def close(self) -> None:
        """As ^C ends pytest, where it has not ended: fixtures put down what they have started."""
        if self._process:
            if self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGINT)
            self._process.wait()


def _watch(process: subprocess.Popen[bytes], path: Path, lines: IO[bytes], beside: Beside) -> None:
    """Until it ends. When it is stuck it is told to abort, with faulthandler's words; if it does not, it is killed."""
    told, since, ways = Account(beside.see), time.monotonic(), [signal.SIGKILL, signal.SIGABRT]
    beat = since - PULSE
    with account.pulse(path).open("ab", buffering=0) as pulse:
        while not has_ended(process, TICK):
            beside.look()
            if time.monotonic() - beat >= PULSE:
                beat = time.monotonic()
                pulse.write(b".")
            if content := lines.read():
                told.write(content)
                since = time.monotonic()
            stuck = told.running and told.limit and time.monotonic() - since > PATIENCE * told.limit
            if stuck and ways:
                process.send_signal(ways.pop())
                since = time.monotonic()


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    sys.exit(128 + signal.SIGTERM)


def _how(status: int) -> str:
    if status < 0:
        return f"was killed by {signal.Signals(-status).name}"
    return f"ended in the middle, with status {status}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
