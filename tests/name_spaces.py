"""Whether this process may make a user name space, in which engines live: below a plain chroot nobody may."""

from __future__ import annotations

import os

import pytest

from launcher.native import lib

CLONE_NEWUSER = 0x1000_0000  # linux/sched.h


def _refusal() -> str:
    """Why the kernel makes none; empty: it does."""
    pid = os.fork()
    if pid == 0:
        os._exit(-lib.kernel_unshare(CLONE_NEWUSER))
    error = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return os.strerror(error) if error else ""


REFUSAL = _refusal()
needs_name_spaces = pytest.mark.skipif(bool(REFUSAL), reason=f"no user name space is to be had here: {REFUSAL}")
