"""The path of a file in which firmware keeps its variables in; what is known of it out. Opens regular files only."""

from __future__ import annotations

import fcntl
import os
import stat
import struct

from launcher.images.boot_files import Variables
from launcher.images.firmware import layout_of
from launcher.images.opening import looked_at
from launcher.images.rights import identity_of
from launcher.values import Missing

_HEAD = 4096
_GETLK = 36  # F_OFD_GETLK (asm-generic/fcntl.h); fcntl has no name for it
_FLOCK = struct.Struct("hhqqi4x")


def read_variables(path: str) -> Variables | Missing:
    """One that is not there can be made where its folder is: what is missing then is the folder. A link that leads
    nowhere keeps its name from everybody."""
    found = looked_at(path, lambda descriptor: _described(path, descriptor))
    return _to_be_made(found) if isinstance(found, Missing) and found.missing == "absent" else found


def _to_be_made(found: Missing) -> Variables | Missing:
    path = found.path
    try:
        if stat.S_ISLNK(os.lstat(path).st_mode):
            return Variables(path, "other")
    except ValueError:  # nobody can make it
        return found
    except OSError:
        pass
    folder = os.path.dirname(path) or "."
    if not os.path.isdir(folder):
        return Missing("absent", folder)
    return Variables(path, "none", writable=os.access(folder, os.W_OK | os.X_OK))


def _described(path: str, descriptor: int) -> Variables:
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return Variables(path, "other", identity_of(status))
    layout = layout_of(os.pread(descriptor, _HEAD, 0))
    writable, locked = os.access(path, os.W_OK), _is_locked(descriptor)
    target = os.readlink(f"/proc/self/fd/{descriptor}")
    return Variables(path, "file", identity_of(status), status.st_size, layout, writable, locked, target)


def _is_locked(descriptor: int) -> bool:
    """A file system that has no locks has none that are taken."""
    asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
    try:
        return bool(_FLOCK.unpack(fcntl.fcntl(descriptor, _GETLK, asked))[0] != fcntl.F_UNLCK)
    except OSError:
        return False
