"""The tests of all hosts -> shares, each for one machine, and those held two at a time: emulation uses one processor.

A host that has many tests is two shares. Machines of several processors run alone: theirs lose each other when they are
not served at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event
from typing import TypeVar

from tests.free_memory import available
from tests.lab.hosts import Host

MANY = 30  # tests of one host
AT_ONCE = 2
ROOM = 2  # bytes of memory that are free, for each that machines which run together have

Held = TypeVar("Held")


@dataclass(frozen=True)
class Share:
    name: str
    host: Host
    tests: tuple[str, ...]


def at_once(hosts: Sequence[Host]) -> int:
    """Machines that this one may run together."""
    needed = AT_ONCE * ROOM * max((host.mebibytes for host in hosts), default=0) << 20
    return AT_ONCE if len(os.sched_getaffinity(0)) >= AT_ONCE and available() >= needed else 1


def shares(tests: Mapping[Host, Sequence[str]], together: int) -> list[Share]:
    found = []
    for host, names in tests.items():
        parts = together if host.cpus == 1 and len(names) > MANY else 1
        for part in range(parts):  # each second: the slow ones stand together
            found.append(Share(f"{host.name}{f'.{part + 1}' if parts > 1 else ''}", host, tuple(names[part::parts])))
    return found


def hold_all(
    every: Sequence[Share], together: int, hold: Callable[[Share, Callable[[], str]], Held]
) -> dict[Share, Held]:
    """`hold` is given a share and what says, from now to then, why it has to stop."""
    stopped = Event()

    def held(share: Share) -> Held:
        return hold(share, lambda: "was interrupted" if stopped.is_set() else "")

    small = [share for share in every if share.host.cpus == 1]
    with ThreadPoolExecutor(together) as pool:
        try:
            done = dict(zip(small, pool.map(held, small), strict=True))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            stopped.set()
            raise
    return done | {share: held(share) for share in every if share not in done}
