"""Guest memory populated by the product's own code, beside a first-touch memset of an identical mapping. GiB/s."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from launcher.values import GIB, KIB, MIB
from tests.bench import contenders
from tests.bench.built import Built
from tests.bench.measure import Figures, Run
from tests.bench.table import MEMSET, POPULATE
from tests.free_memory import available

SIZES = (1, 2, 4, 8)  # GiB
SMALL, TRANSPARENT, HUGE = 4 * KIB, 0, 2 * MIB
POOL = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
SPARE = 2 * GIB  # left to everybody else
PROGRAM = """
import os, sys, time
from launcher.kernel.memory import HostMemory
size, pages = map(int, sys.argv[1:])
memory = HostMemory(size, pages, None)
began = time.perf_counter()
memory.populate(len(os.sched_getaffinity(0)), lambda done: None)
print(time.perf_counter() - began)
"""


def memory(built: Built, folder: Path, pages: int) -> dict[str, Run]:
    threads = str(len(os.sched_getaffinity(0)))
    ours = [sys.executable, "-c", PROGRAM]

    def touch(size: int, page_size: int) -> list[str]:
        return [str(built.touch), str(size), str(page_size), threads]

    return {
        POPULATE: lambda: _rates(lambda size: [*ours, str(size), str(pages)], touch, pages),
        MEMSET: lambda: _rates(lambda size: touch(size, pages), touch, pages),
    }


def figure(gibibytes: int) -> str:
    return f"{gibibytes} GiB"


def _rates(command: Callable[[int], list[str]], touch: Callable[[int, int], list[str]], pages: int) -> Figures:
    """Each in a process of its own; sizes that this machine has not room for are left out.

    A virtual machine may have to be given its memory first, which takes ten times as long: somebody else touches it.
    """
    rates = {}
    for gibibytes in SIZES:
        size = gibibytes * GIB
        if size + SPARE > available():
            continue
        contenders.run(touch(size, TRANSPARENT))
        with _pool(size if pages == HUGE else 0) as enough:
            if enough:
                rates[figure(gibibytes)] = gibibytes / float(contenders.run(command(size)))
    return rates


@contextmanager
def _pool(size: int) -> Iterator[bool]:
    """Huge pages for so much, and the pool as it was afterwards; False: the kernel did not find so many."""
    before = POOL.read_text()
    if size:
        POOL.write_text(str(int(before) + size // HUGE))
    try:
        yield int(POOL.read_text()) * HUGE >= size
    finally:
        POOL.write_text(before)
