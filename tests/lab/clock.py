"""-> the speed of this machine's time stamp counter: an emulated one is as fast, and cannot tell when it is busy."""

from __future__ import annotations

import ctypes
import mmap
import time

CODE = bytes.fromhex("0f31 48c1e220 4809d0 c3")  # rdtsc; shl rdx, 32; or rax, rdx; ret
SECONDS, TRIES = 0.05, 20


def tsc_khz() -> int:
    with mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC) as page:
        page.write(CODE)
        first = ctypes.c_char.from_buffer(page)
        counter = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(first))
        began, ticks = _together(counter)
        time.sleep(SECONDS)
        ended, more = _together(counter)
        del first
    return round((more - ticks) * 1_000_000 / (ended - began))


def _together(counter: ctypes._CFuncPtr) -> tuple[int, int]:
    """(nanoseconds, ticks) of the try that was interrupted least."""
    tries = []
    for _ in range(TRIES):
        before = time.perf_counter_ns()
        ticks = counter()
        tries.append((time.perf_counter_ns() - before, before, ticks))
    _, nanoseconds, ticks = min(tries)
    return nanoseconds, ticks
