"""A name in, its state folder out: claimed by a lock, so that a name is up once. Its files are written whole."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PLAN, JOURNAL, STATE, REPORT, LOG, SOCKET = (
    "plan.json", "undo.jsonl", "state.json", "report.json", "console.log", "control.sock",
)  # fmt: skip


class NameTaken(OSError):
    """A live VM holds the lock of this folder."""


@dataclass(slots=True)
class StateFolder:
    """`lock` is a descriptor of the folder itself, flocked for as long as its keeper lives."""

    path: Path
    lock: int

    @classmethod
    def claim(cls, path: Path) -> StateFolder:
        """Make it if need be and lock it. NameTaken when a VM that lives has it; OSError when it cannot be made."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path.mkdir(mode=0o700, exist_ok=True)
            try:
                lock = os.open(path, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # a `down` removed it between the two calls
            if _try_lock(lock, fcntl.LOCK_EX) and _is_still(lock, path):
                return cls(path, lock)
            taken = not _try_lock(lock, fcntl.LOCK_SH)
            os.close(lock)
            if taken:
                raise NameTaken(None, "a VM of this name is up", str(path))
            # Else it was removed meanwhile, or somebody only looks whether it is up: try again.

    def write(self, name: str, value: Any) -> None:
        """JSON, by way of a second file, so that no reader sees half of it."""
        draft = self.path / f".{name}"
        draft.write_text(json.dumps(value, indent=1) + "\n")
        draft.rename(self.path / name)

    def read(self, name: str) -> Any:
        """None when there is no such file, or it is not JSON."""
        return read_json(self.path / name)

    def empty(self) -> None:
        """Take away what an earlier run left."""
        for entry in self.path.iterdir():
            entry.unlink()

    def remove(self) -> None:
        shutil.rmtree(self.path)

    def close(self) -> None:
        if self.lock >= 0:
            os.close(self.lock)
            self.lock = -1


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


def wait_until_down(path: Path) -> None:
    """Return when no keeper holds the folder any more."""
    try:
        lock = os.open(path, os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_SH)
    finally:
        os.close(lock)


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
    except (FileNotFoundError, ValueError):
        return None


def _try_lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_still(lock: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False
