"""A name in, its state folder out: claimed by a lock, so that a name is up once. Its files are written whole."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from launcher.record import mutable

PLAN, JOURNAL, STATE, REPORT, LOG, SOCKET = (
    "plan.json", "undo.jsonl", "state.json", "report.json", "console.log", "control.sock",
)  # fmt: skip


FILES = (PLAN, JOURNAL, STATE, REPORT, LOG, SOCKET)
MOMENT = 0.01  # seconds between two tries at a lock that is held for a moment
PATIENCE = 10.0  # seconds that somebody may hold it who tidies up


class NameTaken(OSError):
    """A live VM holds the lock of this folder."""


@mutable
class StateFolder:
    """`lock`, of the folder itself, and `groups` are descriptors that stay flocked for as long as the keeper lives."""

    path: Path
    lock: int
    groups: tuple[int, ...] = ()

    @property
    def locks(self) -> tuple[int, ...]:
        return self.lock, *self.groups

    @classmethod
    def claim(cls, path: Path) -> StateFolder:
        """Make it if need be and lock it. NameTaken when a VM that lives has it; OSError when it cannot be made.

        Somebody who only tidies up, or looks whether it is up, is waited for.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        last = monotonic() + PATIENCE
        while monotonic() < last:
            path.mkdir(mode=0o700, exist_ok=True)
            try:
                lock = os.open(path, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # a `down` removed it between the two calls
            if _try_lock(lock, fcntl.LOCK_EX) and _is_still(lock, path):
                return cls(path, lock)
            taken = not _try_lock(lock, fcntl.LOCK_SH)
            os.close(lock)
            if taken and _has_begun(path):
                raise NameTaken(None, "a VM of this name is up", str(path))
            sleep(MOMENT)
        raise TimeoutError(errno.ETIMEDOUT, f"somebody else has held its lock for {PATIENCE:g} s", str(path))

    def write(self, name: str, value: Any) -> None:
        """JSON, by way of a second file, so that no reader sees half of it."""
        draft = self.path / f".{name}"
        draft.write_text(json.dumps(value, indent=1) + "\n")
        draft.rename(self.path / name)

    def empty(self) -> None:
        """Take away what an earlier run left; what is not ours stays."""
        for name in FILES:
            for entry in (self.path / name, self.path / f".{name}"):
                entry.unlink(missing_ok=True)

    def remove(self) -> None:
        """OSError when there is something in it that is not ours."""
        self.empty()
        self.path.rmdir()

    def close(self) -> None:
        if self.lock >= 0:
            for lock in self.locks:
                os.close(lock)
            self.lock, self.groups = -1, ()


def is_up(path: Path) -> bool:
    """Whether a keeper lives that holds this folder."""
    try:
        lock = os.open(path, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return not _try_lock(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


def is_lost(path: Path) -> bool:
    """Its keeper began and died without a word: no keeper lives, and none has written its end."""
    try:
        lock = os.open(path, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:  # read under the lock: else it may end, or the next one begin, between the two looks
        return _try_lock(lock, fcntl.LOCK_SH) and _has_begun(path)
    finally:
        os.close(lock)


def has_ended(path: Path) -> bool:
    """A keeper writes its report, then that it has ended, which a full /run may have refused it."""
    state = read_json(path / STATE)
    return (isinstance(state, dict) and state.get("phase") == "ended") or (path / REPORT).exists()


def wait_until_down(path: Path, go_on: Callable[[], bool] = lambda: True) -> bool:
    """True when no keeper holds the folder any more; False when `go_on`, which is asked all the time, says so."""
    try:
        lock = os.open(path, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        while not _try_lock(lock, fcntl.LOCK_SH):
            if not go_on():
                return False
            sleep(MOMENT)
    finally:
        os.close(lock)
    return True


def all_folders(root: Path) -> Iterator[Path]:
    """The state folders under `root`, by name; none when there is no root."""
    try:
        entries = sorted(root.iterdir())
    except FileNotFoundError:
        return
    yield from (entry for entry in entries if entry.is_dir())


def read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        return None


def _try_lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _has_begun(path: Path) -> bool:
    """A keeper writes its state first thing; without one, or with one that has ended, the lock is somebody else's."""
    return isinstance(read_json(path / STATE), dict) and not has_ended(path)


def _is_still(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False
