"""A descriptor and bytes in; all of them are written, or OSError EIO says how many the kernel took."""

from __future__ import annotations

import errno
import os


def write_whole(fd: int, data: bytes, at: int | None = None, what: str = "write") -> None:
    """Once: what takes a part of it (a register, a sysfs file) has not done what was asked, and must not be asked on.

    `at` None: where the descriptor is. `what` is named when it fails.
    """
    done = os.write(fd, data) if at is None else os.pwrite(fd, data, at)
    if done != len(data):
        raise OSError(errno.EIO, f"the kernel took {done} of {len(data)} bytes", what)
