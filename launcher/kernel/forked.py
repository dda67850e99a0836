"""In a process that was forked: what it inherits and does not need, closed."""

from __future__ import annotations

import os
from collections.abc import Collection


def close_all_but(kept: Collection[int]) -> None:
    """Standard streams stay as well."""
    before = 3
    for fd in sorted(kept):
        os.closerange(before, fd)
        before = max(before, fd + 1)
    os.closerange(before, os.sysconf("SC_OPEN_MAX"))
