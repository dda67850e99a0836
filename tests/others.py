"""Another user of this host, played by a child process: for tests that root runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

EVIL = 64991  # a uid that nobody has
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play another user")


def as_evil(deed: Callable[[], object]) -> bool:
    """Whether the kernel let that user do it all."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            become_evil()
            deed()
            status = 0
        except OSError:
            pass
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def become_evil() -> None:
    os.setgroups([])
    os.setresgid(EVIL, EVIL, EVIL)
    os.setresuid(EVIL, EVIL, EVIL)
    os.umask(0o022)


def let_pass(folder: Path) -> None:
    """Pytest's own folders are for root alone."""
    for above in (folder, *folder.parents[:2]):
        with suppress(PermissionError):
            above.chmod(0o711)
