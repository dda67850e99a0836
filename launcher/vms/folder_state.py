"""A descriptor of a state folder in; whether it is locked, and what its keeper has written there, out."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress

from launcher.json_text import loads
from launcher.vms.way import read_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PLAN, JOURNAL, STATE, REPORT, LOG, SOCKET = (
    "plan.json", "undo.jsonl", "state.json", "report.json", "console.log", "control.sock",
)  # fmt: skip
ENGINE = "engine.sock"  # for the moment in which a keeper connects to it
FILES = (PLAN, JOURNAL, STATE, REPORT, LOG, SOCKET, ENGINE)
OURS = tuple(name for file in FILES for name in (file, f".{file}"))

MOMENT = 0.01  # seconds between two tries at a lock that is held for a moment


def try_lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_held(folder: int) -> bool:
    """A keeper or a runner has it locked. If none has, we share its lock until we close it: nobody claims it."""
    return not try_lock(folder, fcntl.LOCK_SH)


def has_begun(folder: int) -> bool:
    """A keeper writes its state first thing; without one, or with one that has ended, the lock is somebody else's."""
    return not has_ended(folder) and _state_of(folder) is not None


def has_ended(folder: int) -> bool:
    return _has_report(folder) or (_state_of(folder) or {}).get("phase") == "ended"


def _has_report(folder: int) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(os.stat(REPORT, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


def _state_of(folder: int) -> dict[str, Any] | None:
    try:
        state = decoded(read_below(folder, STATE))
    except OSError:
        return None
    return state if isinstance(state, dict) else None


def decoded(raw: bytes) -> Any:
    """A file that was written as JSON; None: it is none."""
    try:
        return loads(raw)
    except (ValueError, RecursionError):
        return None


def is_still(lock: int, above: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.stat(name, dir_fd=above, follow_symlinks=False))
    except FileNotFoundError:
        return False
