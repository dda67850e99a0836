"""How often the fuzzers try: on each commit, with --long (VMLAUNCH_LONG=1), or as often as VMLAUNCH_FUZZ says."""

from __future__ import annotations

import os

LONG = bool(os.environ.get("VMLAUNCH_LONG"))
TIMES = 100  # as many, when it may take long


def runs(count: int) -> int:
    """`count` is for each commit: a few seconds."""
    return int(os.environ.get("VMLAUNCH_FUZZ") or (count * TIMES if LONG else count))
