"""A thread in, running; OSError with the call's name when the host has none left."""

from __future__ import annotations

import errno
import os
from threading import Thread


def start(thread: Thread) -> None:
    """Python only says RuntimeError. The limits: RLIMIT_NPROC, pids.max of a cgroup, memory for the stack."""
    try:
        thread.start()
    except RuntimeError:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), "pthread_create") from None
