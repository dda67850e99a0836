"""The path of a state folder in, how its VM is and what its files say out. Each look opens it anew, and claims none."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep
from typing import Any

from launcher.values import is_name, state_folder
from launcher.vms import folder_state
from launcher.vms.folder_state import MOMENT, OURS, has_begun, is_held
from launcher.vms.way import MOST, denied, open_own, open_way, read_below


def state_root() -> Path | None:
    """The folder of this user's state folders. None: not root, and XDG_RUNTIME_DIR is not set."""
    found = state_folder(os.geteuid(), os.environ.get("XDG_RUNTIME_DIR"))
    return Path(found) if found else None


def is_up(path: Path) -> bool:
    """Whether a process of a VM lives that holds this folder."""
    return _is(path, is_held)


def is_lost(path: Path) -> bool:
    """Whether a keeper began here and died without a word: none lives, and none has written its end."""
    # Its state is read under the lock: else it may end, or the next one begin, between the looks.
    return _is(path, lambda folder: not is_held(folder) and has_begun(folder))


def is_one(path: Path) -> bool:
    """Whether the folder is a VM's. One with nothing that vmlaunch makes is not; an empty one was to become one."""
    return _is(path, lambda folder: not (found := os.listdir(folder)) or not {*OURS}.isdisjoint(found))


def has_ended(path: Path) -> bool:
    """Whether a keeper wrote that its VM has ended, or at least the report, for which a full /run may have had room."""
    return _is(path, folder_state.has_ended)


def wait_until_down(path: Path, go_on: Callable[[], bool] = lambda: True) -> bool:
    """True when no keeper holds the folder any more; False when `go_on`, which is asked all the time, says so."""
    with _looked_at(path) as folder:
        while folder is not None and is_held(folder):
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
