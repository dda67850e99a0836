"""A path in; who may do what with it, and with the folders on the way there, out."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from launcher.images.disk_files import Rights

_ACCESS_LIST = "system.posix_acl_access"
_ENTER_ALL = 0o001


def rights_of(path: str, status: os.stat_result) -> Rights:
    return Rights(path, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), _is_listed(path))


def folders_to(path: str) -> tuple[Rights, ...]:
    """Those that not everybody may enter, the uppermost first; by the names in the path, and behind its links."""
    return tuple(found for folder in dict.fromkeys(_above(path)) if (found := _closed(folder)))


def identity_of(status: os.stat_result) -> str:
    """What a file is, whatever it is called."""
    return f"{status.st_dev}:{status.st_ino}"


def _above(path: str) -> Iterator[str]:
    for one in (os.path.abspath(path), os.path.realpath(path)):
        parts = one.split("/")[1:-1]
        yield from ("/" + "/".join(parts[:count]) for count in range(len(parts) + 1))


def _closed(folder: str) -> Rights | None:
    try:
        status = os.stat(folder)
    except OSError:  # it has gone, or may not even be looked at: what is in it was not opened either
        return None
    return None if status.st_mode & _ENTER_ALL else rights_of(folder, status)


def _is_listed(path: str) -> bool:
    try:
        return bool(os.getxattr(path, _ACCESS_LIST))
    except OSError:
        return False
