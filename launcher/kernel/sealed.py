"""A memfd in; the same one that nobody can write to, shorten or lengthen any more.

F_SEAL_WRITE would look whether anybody holds a page of it, and refuse with EBUSY where somebody does for longer than
150 ms: the kernel's own reclaim, compaction or a busy processor's list of new pages are enough. What no descriptor
writes to and nobody had mapped to write is as safe by F_SEAL_FUTURE_WRITE, which looks at no page.
"""

from __future__ import annotations

import errno
from fcntl import F_ADD_SEALS, F_SEAL_GROW, F_SEAL_SHRINK, F_SEAL_WRITE, fcntl

F_SEAL_FUTURE_WRITE = 0x10  # <linux/fcntl.h>, since Linux 5.1; Python names it from 3.14 on


def seal(memfd: int) -> None:
    """It is one that may be sealed, and mapped by nobody who writes. OSError EPERM: it may not be, or not again."""
    size = F_SEAL_SHRINK | F_SEAL_GROW
    try:
        fcntl(memfd, F_ADD_SEALS, size | F_SEAL_FUTURE_WRITE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        fcntl(memfd, F_ADD_SEALS, size | F_SEAL_WRITE)
