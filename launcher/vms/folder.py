"""A name in, its state folder out: claimed by a lock, so that a name is up once. Its files are written whole.

A claimed folder is opened, read and removed by the descriptor of its lock. Who only looks at one opens it anew.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from launcher.errors import LauncherError
from launcher.record import mutable
from launcher.values import is_name, state_folder
from launcher.vms.way import MOST, denied, open_own, open_way, read_below, unsafe

PLAN, JOURNAL, STATE, REPORT, LOG, SOCKET = (
    "plan.json", "undo.jsonl", "state.json", "report.json", "console.log", "control.sock",
)  # fmt: skip


FILES = (PLAN, JOURNAL, STATE, REPORT, LOG, SOCKET)
OURS = tuple(name for file in FILES for name in (file, f".{file}"))
MOMENT = 0.01  # seconds between two tries at a lock that is held for a moment
PATIENCE = 10.0  # seconds for somebody to let go of it who is no VM
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def state_root() -> Path | None:
    """The folder of this user's state folders. None: not root, and XDG_RUNTIME_DIR is not set."""
    found = state_folder(os.geteuid(), os.environ.get("XDG_RUNTIME_DIR"))
    return Path(found) if found else None


class NameTaken(OSError):
    """A live VM holds the lock of this folder."""


@mutable
class StateFolder:
    """`lock`, of the folder itself, and `groups` are descriptors that stay flocked for as long as the keeper lives.

    `above` is a descriptor of the folder above it: it is removed without opening one, when there may be none left.
    """

    path: Path
    lock: int
    above: int
    groups: tuple[int, ...] = ()

    @property
    def locks(self) -> tuple[int, ...]:
        return self.lock, *self.groups

    @classmethod
    def claim(cls, path: Path) -> StateFolder:
        """Make it if need be and lock it. NameTaken when a VM that lives has it; OSError when it cannot be made.

        Refused when it, or a folder on the way to it, is not safe from others. Somebody who only tidies up, or looks
        whether it is up, is waited for.
        """
        above = open_way(path.parent, make=True)
        try:
            return cls(path, _claim(above, path), above)
        except BaseException:
            os.close(above)
            raise

    def open(self, name: str, flags: int = os.O_RDWR | _NEW) -> int:
        """A file in it: a new one, unless `flags` say otherwise. Never through a link."""
        return os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600, dir_fd=self.lock)

    def read(self, name: str) -> bytes:
        return read_below(self.lock, name)

    def write(self, name: str, value: Any) -> None:
        """JSON, by way of a second file, so that no reader sees half of it."""
        import json  # here and below: who lists VMs where none are has no use for it

        draft = f".{name}"
        self.discard(draft)
        with os.fdopen(self.open(draft, os.O_WRONLY | _NEW), "w", encoding="utf-8") as file:
            file.write(json.dumps(value, indent=1) + "\n")
        os.rename(draft, name, src_dir_fd=self.lock, dst_dir_fd=self.lock)

    def discard(self, name: str) -> None:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self.lock)

    def empty(self) -> None:
        """Remove the files that an earlier run left. What vmlaunch did not make stays, as does any folder."""
        for name in OURS:
            with suppress(IsADirectoryError):
                self.discard(name)

    def remove(self) -> tuple[str, ...]:
        """Answers what vmlaunch did not make: that is kept, and the folder stays as well."""
        self.empty()
        try:
            self._rmdir()
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return tuple(sorted(os.listdir(self.lock)))
        return ()

    def leave(self) -> None:
        """Let go of it, and remove it if it is empty."""
        with suppress(OSError, LauncherError):
            self._rmdir()
        self.close()

    def _rmdir(self) -> None:
        if _is_still(self.lock, self.above, self.path.name):
            os.rmdir(self.path.name, dir_fd=self.above)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """For what knows no descriptors, as bind(2): inside, names without a folder are of this one."""
        before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fchdir(self.lock)
            yield
        finally:
            os.fchdir(before)
            os.close(before)

    def close(self) -> None:
        if self.lock >= 0:
            for descriptor in (*self.locks, self.above):
                os.close(descriptor)
            self.lock, self.above, self.groups = -1, -1, ()


def is_up(path: Path) -> bool:
    """Whether a process of a VM lives that holds this folder."""
    return _is(path, _is_held)


def is_lost(path: Path) -> bool:
    """Whether a keeper began here and died without a word: none lives, and none has written its end."""
    # Its state is read under the lock: else it may end, or the next one begin, between the looks.
    return _is(path, lambda folder: not _is_held(folder) and _has_begun(folder))


def is_one(path: Path) -> bool:
    """Whether the folder is a VM's. One with nothing that vmlaunch makes is not; an empty one was to become one."""
    return _is(path, lambda folder: not (found := os.listdir(folder)) or not {*OURS}.isdisjoint(found))


def has_ended(path: Path) -> bool:
    """Whether a keeper wrote that its VM has ended, or at least the report, for which a full /run may have had room."""
    return _is(path, _has_ended)


def wait_until_down(path: Path, go_on: Callable[[], bool] = lambda: True) -> bool:
    """True when no keeper holds the folder any more; False when `go_on`, which is asked all the time, says so."""
    with _looked_at(path) as folder:
        while folder is not None and _is_held(folder):
            if not go_on():
                return False
            sleep(MOMENT)
    return True


def all_folders(root: Path) -> Iterator[Path]:
    """The state folders under `root`, by name; none when there is no root. Those of others are none of ours."""
    try:
        above = open_way(root)
    except (FileNotFoundError, NotADirectoryError):
        return
    except PermissionError:
        raise denied(root) from None
    try:
        found = [name for name in _names(above) if is_name(name) and _is_own(above, name)]
    except PermissionError:
        raise denied(root) from None
    finally:
        os.close(above)
    yield from (root / name for name in sorted(found))


def read_file(path: Path, most: int = MOST) -> bytes:
    """A file in a state folder: a regular one, of the folder's owner, and not larger than that; else OSError."""
    with _looked_at(path.parent) as folder:
        if folder is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return read_below(folder, path.name, most)


def read_json(path: Path) -> Any:
    import json

    try:
        return json.loads(read_file(path))
    except (OSError, ValueError, RecursionError):
        return None


def _is(path: Path, asked: Callable[[int], bool]) -> bool:
    """What is asked of the folder; False when there is none."""
    with _looked_at(path) as folder:
        return folder is not None and asked(folder)


@contextmanager
def _looked_at(path: Path) -> Iterator[int | None]:
    """None: there is no such folder."""
    folder = _look(path)
    try:
        yield folder
    finally:
        if folder is not None:
            os.close(folder)


def _look(path: Path) -> int | None:
    try:
        above = open_way(path.parent)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise denied(path.parent) from None
    try:
        return open_own(above, path.name, path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise denied(path) from None
    finally:
        os.close(above)


def _claim(above: int, path: Path) -> int:
    last = monotonic() + PATIENCE
    while True:
        with suppress(FileExistsError):
            os.mkdir(path.name, 0o700, dir_fd=above)
        try:
            lock = open_own(above, path.name, path)
        except FileNotFoundError:
            continue  # a `down` removed it between the two calls
        except NotADirectoryError:
            raise unsafe(path, "is no folder") from None
        except OSError:
            with suppress(OSError):
                os.rmdir(path.name, dir_fd=above)  # if it is new, or nobody's
            raise
        try:
            os.fchmod(lock, 0o700)
            if _try_lock(lock, fcntl.LOCK_EX) and _is_still(lock, above, path.name):
                return lock
            if _is_held(lock) and _has_begun(lock):
                raise NameTaken(None, "a VM of this name is up", str(path))
            if monotonic() > last:
                raise OSError(errno.EBUSY, "another process holds its lock", str(path))
        except BaseException as error:
            os.close(lock)
            if isinstance(error, OSError) and error.errno not in (None, errno.EBUSY):  # nobody can have locked it
                with suppress(OSError):
                    os.rmdir(path.name, dir_fd=above)
            raise
        os.close(lock)
        sleep(MOMENT)


def _try_lock(lock: int, kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_held(folder: int) -> bool:
    """A keeper or a runner has it locked. If none has, we share its lock until we close it: nobody claims it."""
    return not _try_lock(folder, fcntl.LOCK_SH)


def _has_begun(folder: int) -> bool:
    """A keeper writes its state first thing; without one, or with one that has ended, the lock is somebody else's."""
    return _state_of(folder) is not None and not _has_ended(folder)


def _has_ended(folder: int) -> bool:
    state = _state_of(folder)
    return (state is not None and state.get("phase") == "ended") or _has_report(folder)


def _has_report(folder: int) -> bool:
    with suppress(OSError):
        return stat.S_ISREG(os.stat(REPORT, dir_fd=folder, follow_symlinks=False).st_mode)
    return False


def _state_of(folder: int) -> dict[str, Any] | None:
    import json

    try:
        state = json.loads(read_below(folder, STATE))
    except (OSError, ValueError, RecursionError):
        return None
    return state if isinstance(state, dict) else None


def _is_still(lock: int, above: int, name: str) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.stat(name, dir_fd=above, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _names(above: int) -> list[str]:
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=above)
    try:
        return os.listdir(folder)
    finally:
        os.close(folder)


def _is_own(above: int, name: str) -> bool:
    try:
        status = os.stat(name, dir_fd=above, follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
