"""The shipped unit file in; a command that runs another with its measures, where no systemd runs, out."""

from __future__ import annotations

import re
import sys

from tests.conftest import EXAMPLES

UNIT = EXAMPLES / "vmlaunch@.service"
# LimitMEMLOCK, where it may be raised; ProtectSystem=strict and RuntimeDirectory; ProtectKernelModules.
MOUNTS = """ulimit -l unlimited 2>/dev/null
set -e
mount --make-rprivate /
mkdir -p /run/vmlaunch /run/no-modules
mount --bind /run/vmlaunch /run/vmlaunch
! [ -d /lib/modules ] || mount --bind /run/no-modules /lib/modules
mount --bind / /
mount -o remount,bind,ro /
exec "$@"
"""
# MemoryDenyWriteExecute, where the kernel has it (PR_SET_MDWE, Linux 6.3).
REST = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.umask(0o077)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def capabilities() -> list[str]:
    (line,) = re.findall(r"^CapabilityBoundingSet=(.*)$", UNIT.read_text(), re.MULTILINE)
    return [name.removeprefix("CAP_").lower() for name in line.split()]


def command() -> list[str]:
    """To be put before another, as root."""
    bounding = ",".join(["-all", *(f"+{name}" for name in capabilities())])
    setpriv = ["setpriv", "--no-new-privs", f"--bounding-set={bounding}"]
    return ["unshare", "--mount", "sh", "-c", MOUNTS, "sh", *setpriv, sys.executable, "-c", REST]
