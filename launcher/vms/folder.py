"""A name in, its state folder out: claimed by a lock, so that a name is up once. Its files are written whole.

It is opened, read and removed by the descriptor of its lock; vms.looking is for who only looks.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic, sleep

from launcher.errors import LauncherError
from launcher.record import mutable
from launcher.typed import TYPE_CHECKING, Any
from launcher.vms.folder_state import MOMENT, OURS, has_begun, is_held, is_still, try_lock
from launcher.vms.way import open_own, open_way, plain, read_below, unsafe

if TYPE_CHECKING:
    from launcher.vms.way import StrPath

PATIENCE = 10.0  # seconds for somebody to let go of it who is no VM
_NEW = os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class NameTaken(OSError):
    """A live VM holds the lock of this folder."""


@mutable
class StateFolder:
    """`lock`, of the folder itself, `groups` and `images` are descriptors that hold locks as long as the keeper lives.

    `above` is a descriptor of the folder above it: it is removed without opening one, when there may be none left.
    """

    path: str
    lock: int
    above: int
    groups: tuple[int, ...] = ()
    images: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        return os.path.basename(self.path)

    @property
    def root(self) -> str:
        """Of all state folders."""
        return os.path.dirname(self.path)

    @property
    def locks(self) -> tuple[int, ...]:
        return self.lock, *self.groups, *self.images

    @classmethod
    def claim(cls, path: StrPath) -> StateFolder:
        """Make it if need be and lock it. NameTaken when a VM that lives has it; OSError when it cannot be made.

        Refused when it, or a folder on the way to it, is not safe from others. Somebody who only tidies up, or looks
        whether it is up, is waited for.
        """
        place = plain(path)
        above = open_way(os.path.dirname(place), make=True)
        try:
            return cls(place, _claim(above, place), above)
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
        draft = f".{name}"
        self.discard(draft)
        with os.fdopen(self.open(draft, os.O_WRONLY | _NEW), "w", encoding="utf-8") as file:
            file.write(as_text(value))
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
        if is_still(self.lock, self.above, self.name):
            os.rmdir(self.name, dir_fd=self.above)

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
            self.lock, self.above, self.groups, self.images = -1, -1, (), ()


def as_text(value: Any) -> str:
    """As it is in a file, where people may read it, too."""
    from launcher.json_text import indented  # who lists VMs where none are has no use for it

    return indented(value) + "\n"


def _claim(above: int, path: str) -> int:
    name, last = os.path.basename(path), monotonic() + PATIENCE
    while True:
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=above)
        try:
            lock = open_own(above, name, path)
        except FileNotFoundError:
            continue  # a `down` removed it between the two calls
        except NotADirectoryError:
            raise unsafe(path, "is no folder") from None
        except OSError:
            with suppress(OSError):
                os.rmdir(name, dir_fd=above)  # if it is new, or nobody's
            raise
        try:
            os.fchmod(lock, 0o700)
            if try_lock(lock, fcntl.LOCK_EX) and is_still(lock, above, name):
                return lock
            if is_held(lock) and has_begun(lock):
                raise NameTaken(None, "a VM of this name is up", path)
            if monotonic() > last:
                raise OSError(errno.EBUSY, "another process holds its lock", path)
        except BaseException as error:
            os.close(lock)
            if isinstance(error, OSError) and error.errno not in (None, errno.EBUSY):  # nobody can have locked it
                with suppress(OSError):
                    os.rmdir(name, dir_fd=above)
            raise
        os.close(lock)
        sleep(MOMENT)
