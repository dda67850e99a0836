"""The path of a state folder in, how its VM is and what its files say out. Each look opens it anew, and claims none."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from time import sleep

from launcher.names import is_name, state_folder
from launcher.vms import folder_state
from launcher.vms.folder_state import MOMENT, OURS, decoded, has_begun, is_held
from launcher.vms.way import MOST, denied, open_own, open_way, read_below

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

    from launcher.vms.way import StrPath


def state_root() -> str | None:
    """The folder of this user's state folders. None: not root, and XDG_RUNTIME_DIR is not set."""
    return state_folder(os.geteuid(), os.environ.get("XDG_RUNTIME_DIR"))


def is_up(path: StrPath) -> bool:
    """Whether a process of a VM lives that holds this folder."""
    return _is(path, is_held)


def is_lost(path: StrPath) -> bool:
    """Whether a keeper began here and died without a word: none lives, and none has written its end."""
    # Its state is read under the lock: else it may end, or the next one begin, between the looks.
    return _is(path, lambda folder: not is_held(folder) and has_begun(folder))


def is_one(path: StrPath) -> bool:
    """Whether the folder is a VM's. One with nothing that vmlaunch makes is not; an empty one was to become one."""
    return _is(path, lambda folder: not (found := os.listdir(folder)) or not {*OURS}.isdisjoint(found))


def has_ended(path: StrPath) -> bool:
    """Whether a keeper wrote that its VM has ended, or at least the report, for which a full /run may have had room."""
    return _is(path, folder_state.has_ended)


def wait_until_down(path: StrPath, go_on: Callable[[], bool] = lambda: True) -> bool:
    """True when no keeper holds the folder any more; False when `go_on`, which is asked all the time, says so."""
    with _looked_at(path) as folder:
        while folder is not None and is_held(folder):
            if not go_on():
                return False
            sleep(MOMENT)
    return True


def all_folders(root: StrPath) -> Iterator[Path]:
    """The state folders under `root`, by name."""
    from pathlib import Path

    return (Path(root, name) for name in all_names(root))


def all_names(root: StrPath) -> list[str]:
    """Of the state folders under `root`; none when there is no root. Those of others are none of ours."""
    try:
        above = open_way(root)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except PermissionError:
        raise denied(root) from None
    try:
        found = [name for name in _names(above) if is_name(name) and _is_own(above, name)]
    except PermissionError:
        raise denied(root) from None
    finally:
        os.close(above)
    return sorted(found)


def read_file(path: StrPath, most: int = MOST) -> bytes:
    """A file in a state folder: a regular one, of the folder's owner, and not larger than that; else OSError."""
    above, name = os.path.split(path)
    with _looked_at(above) as folder:
        if folder is None:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        return read_below(folder, name, most)


def read_json(path: StrPath) -> Any:
    """None: there is no such file, or it is no JSON."""
    try:
        return decoded(read_file(path))
    except OSError:
        return None


def _is(path: StrPath, asked: Callable[[int], bool]) -> bool:
    """What is asked of the folder; False when there is none."""
    with _looked_at(path) as folder:
        return folder is not None and asked(folder)


@contextmanager
def _looked_at(path: StrPath) -> Iterator[int | None]:
    """None: there is no such folder."""
    folder = _look(path)
    try:
        yield folder
    finally:
        if folder is not None:
            os.close(folder)


def _look(path: StrPath) -> int | None:
    root, name = os.path.split(path)
    try:
        above = open_way(root)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError:
        raise denied(root) from None
    try:
        return open_own(above, name, path)
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
