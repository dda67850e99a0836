"""The process that forked this one in; this one ends with it."""

from __future__ import annotations

import os

from launcher.native import lib
from launcher.signals import signal


def end_with(parent: int) -> None:
    """By SIGKILL, whatever `parent` ends of (prctl(2), PR_SET_PDEATHSIG). At once, when it has gone already."""
    lib.kernel_prctl(lib.PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
