"""How much is tried: on each commit, with --long (VMLAUNCH_LONG=1), or as often as VMLAUNCH_FUZZ says."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

T = TypeVar("T")
LONG = bool(os.environ.get("VMLAUNCH_LONG"))
TIMES = 100  # as many, when it may take long


def runs(count: int) -> int:
    """`count` is for each commit: a few seconds."""
    return int(os.environ.get("VMLAUNCH_FUZZ") or (count * TIMES if LONG else count))


def of_each_kind(every: Iterable[T], kind: Callable[[T], Hashable]) -> list[T]:
    """For each commit the first and the last of each kind, in order; all of them, when it may take long."""
    every = list(every)
    if LONG:
        return every
    first = {kind(one): n for n, one in reversed([*enumerate(every)])}
    last = {kind(one): n for n, one in enumerate(every)}
    return [every[n] for n in sorted({*first.values(), *last.values()})]
