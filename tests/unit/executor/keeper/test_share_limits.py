"""What virtiofsd may have open: as many files as a guest looks at, and it holds each of them."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from launcher.executor.keeper import engines
from launcher.executor.keeper.engine_orders import OPEN_BY_SHARES
from launcher.kernel.real import RealKernel
from launcher.plan.virtio import StartShareEngine
from tests.name_spaces import needs_name_spaces
from tests.unit.executor.keeper.test_engines import kernel

pytestmark = needs_name_spaces
__all__ = ["kernel"]  # the fixture
KINDS: dict[Literal["c", "rust"], str] = {"c": "/usr/lib/qemu/virtiofsd", "rust": "/usr/libexec/virtiofsd"}
HERE = [kind for kind, program in KINDS.items() if os.access(program, os.X_OK) and not os.path.islink(program)]


@pytest.mark.parametrize("kind", HERE or [pytest.param("", marks=pytest.mark.skip(reason="no virtiofsd"))])
def test_a_guest_may_look_at_more_than_some_thousand_files(
    kernel: RealKernel, tmp_path: Path, kind: Literal["c", "rust"]
) -> None:
    status = tmp_path.stat()
    identity = f"{status.st_dev}:{status.st_ino}"
    step = StartShareEngine(KINDS[kind], kind, "work", str(tmp_path), identity, False, status.st_uid, status.st_gid, 0)
    engines.prepare(step, kernel)
    engines.start(step, kernel)
    limits = Path(f"/proc/{kernel.engines[0].pid}/limits").read_text()
    (open_files,) = re.findall(r"Max open files +(\d+)", limits)
    assert re.search(rf"Max stack size +{8 << 20} +{8 << 20} ", limits)
    assert int(open_files) == min(OPEN_BY_SHARES, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    assert kernel.engines[0].measures["seccomp"] == "on"


SIGNALS = """
import errno, fcntl, os, signal
from launcher.native import lib
assert lib.kernel_prctl(lib.PR_SET_NO_NEW_PRIVS, 1) == 0 and lib.confine_share_engine(False) == 0
reading, writing = os.pipe()
tries = (
    lambda: os.kill(os.getppid(), 0),
    lambda: fcntl.fcntl(reading, fcntl.F_SETOWN, os.getppid()),
    lambda: fcntl.fcntl(reading, fcntl.F_SETSIG, signal.SIGKILL),
)
for one in tries:
    try:
        one()
    except OSError as error:
        assert error.errno == errno.EPERM
    else:
        raise SystemExit("it may")
fcntl.fcntl(reading, fcntl.F_SETFL, os.O_NONBLOCK)
"""


def test_who_serves_a_share_has_no_signal_for_others() -> None:
    """Root's folder has an engine whose uid the kernel would let signal everybody."""
    subprocess.run([sys.executable, "-c", SIGNALS], check=True)


ATTRIBUTES = """
import ctypes, errno, os, sys
from launcher.native import lib
name, place = sys.argv[1], os.open(sys.argv[1], os.O_RDONLY)
assert lib.kernel_prctl(lib.PR_SET_NO_NEW_PRIVS, 1) == 0 and lib.confine_share_engine(True) == 0
libc, x32 = ctypes.CDLL(None, use_errno=True), 0x40000000
tries = {
    "chmod": lambda: os.chmod(name, 0o777),
    "fchmod": lambda: os.fchmod(place, 0o777),
    "by its number": lambda: os.chmod(f"/proc/self/fd/{place}", 0o777),
    "chown": lambda: os.chown(name, os.getuid(), os.getgid()),
    "fchown": lambda: os.fchown(place, os.getuid(), os.getgid()),
    "utime": lambda: os.utime(name),
    "setxattr": lambda: os.setxattr(name, "user.a", b"b"),
    "removexattr": lambda: os.removexattr(place, "user.a"),
    "truncate": lambda: os.truncate(name, 0),
}
for what, one in tries.items():
    try:
        one()
    except OSError as error:
        assert error.errno == errno.EROFS, what
    else:
        raise SystemExit(f"it may {what}")
assert libc.syscall(91 | x32, place, 0o777) == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS)
assert os.read(place, 5) == b"hello"
"""


def test_who_serves_a_share_that_is_only_read_changes_no_attribute(tmp_path: Path) -> None:
    """Neither its own word for that, nor Landlock, keeps an engine that was taken over from it."""
    (tmp_path / "a").write_text("hello")
    before = (tmp_path / "a").stat()
    subprocess.run([sys.executable, "-c", ATTRIBUTES, str(tmp_path / "a")], check=True)
    after = (tmp_path / "a").stat()
    assert (after.st_mode, after.st_ctime_ns, after.st_size) == (before.st_mode, before.st_ctime_ns, 5)
