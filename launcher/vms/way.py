"""The path of a folder in, a descriptor of it out; and files below such a descriptor. Nobody can swap what is opened.

Each folder on the way is ours or root's and nobody else may write to it, unless it is sticky, as /tmp: there what is
ours stays in its place. A link is followed only where nobody else can have made it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import deque
from contextlib import suppress

TYPE_CHECKING = False  # what `ps` imports is what people wait for
if TYPE_CHECKING:
    from launcher.errors import LauncherError

    StrPath = str | os.PathLike[str]

MOST = 16 << 20  # bytes of a file that is read in one piece
MOST_LINKS = 40
_ON_THE_WAY = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def open_way(path: StrPath, *, make: bool = False) -> int:
    """For what is below it only (O_PATH). `make`: what is missing is made, for us alone.

    Refused (E541) where somebody else could put another folder in its place. OSError of the kernel.
    """
    here, behind, links = os.open("/", _ON_THE_WAY), "", 0
    names = deque(_parts(os.fspath(path)))
    try:
        while names:
            name = names.popleft()
            target = _link(here, name, f"{behind}/{name}")
            if target is None:
                here, above = _into(here, name, make=make), here
                os.close(above)
                behind = f"{behind}/{name}"
                _check(os.fstat(here), behind, owners=(0, os.geteuid()), sticky=True)
                continue
            links += 1
            if links > MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            names.extendleft(reversed(_parts(target)))
            if target.startswith("/"):
                os.close(here)
                here, behind = os.open("/", _ON_THE_WAY), ""
    except BaseException:
        os.close(here)
        raise
    return here


def plain(path: StrPath) -> str:
    """The same path with a name at its end, and without what says nothing on the way: `//`, `/./`."""
    text = os.fspath(path)
    return ("/" if text.startswith("/") else "") + "/".join(_parts(text))


def _parts(path: str) -> list[str]:
    return [one for one in path.split("/") if one not in ("", ".")]


def open_own(above: int, name: str, path: StrPath) -> int:
    """A folder of ours, for its lock and what is in it. NotADirectoryError: it is something else."""
    folder = os.open(name, _LOOK, dir_fd=above)
    try:
        _check(os.fstat(folder), path, owners=(os.geteuid(),), sticky=False)
    except BaseException:
        os.close(folder)
        raise
    return folder


def read_below(folder: int, name: str, most: int = MOST) -> bytes:
    """A regular file of the folder's owner, at once and at most `most` bytes; anything else is an OSError."""
    file = os.open(name, _READ, dir_fd=folder)
    try:
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.fstat(folder).st_uid:
            raise OSError(errno.EINVAL, "it is no file of this VM", name)
        if status.st_size > most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), name)
        return read_whole(file, most)
    finally:
        os.close(file)


def read_whole(file: int, most: int = MOST) -> bytes:
    """From its start, whatever was written to it meanwhile. Some file systems give a part at a time: 9p, uncached."""
    pieces: list[bytes] = []
    at = 0
    while at < most and (piece := os.pread(file, most - at, at)):
        pieces.append(piece)
        at += len(piece)
    return b"".join(pieces)


def unsafe(path: StrPath, fact: str) -> LauncherError:
    from launcher.errors import Diagnostic, Refused

    help_ = ("`namei -l` shows who owns each folder on the way, and who may write to it",)
    return Refused(Diagnostic("E541", f"state is not kept below {path}: it {fact}", help=help_))


def denied(path: StrPath) -> LauncherError:
    from launcher.errors import NotPermitted

    return NotPermitted(*unsafe(path, "may not be looked into").diagnostics)


def _link(here: int, name: str, path: StrPath) -> str | None:
    """Where it leads; None: it is none, or not there."""
    try:
        status = os.stat(name, dir_fd=here, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if not stat.S_ISLNK(status.st_mode):
        return None
    if status.st_uid not in (0, os.geteuid()):
        raise unsafe(path, f"is a link of uid {status.st_uid}")
    return os.readlink(name, dir_fd=here)


def _into(here: int, name: str, *, make: bool) -> int:
    try:
        return os.open(name, _ON_THE_WAY, dir_fd=here)
    except FileNotFoundError:
        if not make:
            raise
    with suppress(FileExistsError):  # somebody was faster; `_check` sees who
        os.mkdir(name, 0o700, dir_fd=here)
    return os.open(name, _ON_THE_WAY, dir_fd=here)


def _check(status: os.stat_result, path: StrPath, owners: tuple[int, ...], *, sticky: bool) -> None:
    """`sticky`: where others may write, it is enough that they cannot replace what is there."""
    if status.st_uid not in owners:
        raise unsafe(path, f"belongs to uid {status.st_uid}")
    if status.st_mode & 0o022 and not (sticky and status.st_mode & stat.S_ISVTX):
        raise unsafe(path, f"is writable for others (mode {stat.S_IMODE(status.st_mode):04o})")
