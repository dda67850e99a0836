"""The owner of an image is no owner of the guest whose disk it is: what he may do to its engine."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

from launcher.kernel.real import RealKernel
from tests.name_spaces import needs_name_spaces
from tests.unit.executor.keeper.test_engines import OTHER, as_root, disk, image, kernel, started, step

pytestmark = needs_name_spaces

__all__ = ["kernel"]  # the fixture
PTRACE_ATTACH = 16


def tried_as(uid: int, pid: int) -> int:
    """The error number of who attaches to the process."""
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        libc = ctypes.CDLL(None, use_errno=True)
        os._exit(ctypes.get_errno() if libc.ptrace(PTRACE_ATTACH, pid, 0, 0) else 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@as_root
def test_who_owns_an_image_cannot_read_the_guest_by_its_engine(kernel: RealKernel, tmp_path: Path) -> None:
    begun = started(kernel, step(disk(image(tmp_path / "a", owner=OTHER)), uid=OTHER))
    assert tried_as(OTHER, begun.pid) == errno.EPERM
