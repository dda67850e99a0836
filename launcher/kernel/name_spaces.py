"""Nothing in; whether the kernel makes a user name space for this process, out. A child tries, and ends with it.

No file says it all: below chroot(2), or under a filter of a container engine or a security module, it is refused
whatever the settings are.
"""

from __future__ import annotations

import errno

from launcher.native import lib

CLONE_NEWUSER = 0x1000_0000  # linux/sched.h
MADE = "made"


def user_name_space() -> str:
    """`made`, or the name of the errno."""
    result = lib.kernel_try_name_spaces(CLONE_NEWUSER)
    return MADE if result == 0 else errno.errorcode.get(-result, str(-result))
