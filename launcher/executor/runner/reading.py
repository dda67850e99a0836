"""A path and its digest in; what the plan was made with out, also when no file can be opened any more."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial

from launcher.copies import Here
from launcher.digests import hasher
from launcher.errors import Diagnostic, Refused
from launcher.executor.runner.live import Live
from launcher.vms.way import read_whole


def read_file(path: str, digest: str, live: Live) -> memoryview:
    """OSError when it cannot be read; Refused when it is another one now, or is by the time the guest reboots."""
    file = live.once(path, partial(open_regular, path))
    if (copy := Here.copies.read(digest)) is not None:
        hasher(0)  # by the next life nothing can be imported any more; Python's own is there at once, and small
        return copy
    image = read_whole(file, size_of(file))
    found = hasher(len(image), shut_in=live.past is not None)
    found.update(image)
    if found.hexdigest() != digest:
        message = f"{path} has changed since the plan was made"
        raise Refused(Diagnostic("E509", message, help=("plan again, or put the file back",)))
    return memoryview(image)


def open_regular(path: str) -> int:
    """What took the place of the file since must not keep us: a pipe would wait for its writer."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(errno.EINVAL, "it is no regular file", path)
    return file


def size_of(file: int) -> int:
    """A confined process may not ask by fstat, which is a look at the file system to some libc."""
    return os.lseek(file, 0, os.SEEK_END)
