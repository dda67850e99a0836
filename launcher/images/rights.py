"""The path and the status of a file in; what it is, and who may do what with it, out."""

from __future__ import annotations

import os
import stat

from launcher.images.disk_files import Rights

_ACCESS_LIST = "system.posix_acl_access"


def rights_of(path: str, status: os.stat_result) -> Rights:
    return Rights(path, status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode), _is_listed(path))


def identity_of(status: os.stat_result) -> str:
    """What a file is, whatever it is called."""
    return f"{status.st_dev}:{status.st_ino}"


def _is_listed(path: str) -> bool:
    try:
        return bool(os.getxattr(path, _ACCESS_LIST))
    except OSError:
        return False
