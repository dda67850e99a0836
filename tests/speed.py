"""-> how slow this machine is now, with all that it does beside: 1 is a fast one at rest. Deadlines are its multiples.

Measured once in a session: the environment hands it on to all that a session starts. A lab host is told how slow the
machine is that emulates it; when its boot took longer than that, it is as slow as its boot.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time

VARIABLE = "VMLAUNCH_SLOWNESS"
FAST = 0.08  # seconds that the probe takes on a fast machine at rest
LOOPS, STARTS = 300_000, 5  # what the probe does: it counts, and starts programs
PATIENCE = 180  # seconds on a fast machine until a test is stuck, not slow
LIMIT = 900  # seconds there that one test may take; a `long` one takes longer
BOOT = 6.0  # seconds that a lab host takes there until its command starts
MOST = 20.0  # a machine that was asleep for a moment is not as slow as that


def slowness() -> float:
    if VARIABLE not in os.environ:
        tell(measured())
    return float(os.environ[VARIABLE])


def seconds(fast: float) -> int:
    """A deadline that is `fast` on a fast machine."""
    return round(fast * slowness())


def limit(*, long: bool) -> int:
    return seconds(LIMIT * (4 if long else 1))


def tell(found: float) -> None:
    """Those who come after us, and ask."""
    os.environ[VARIABLE] = f"{found:.2f}"


def measured() -> float:
    began = time.monotonic()
    probe()
    return bounded((time.monotonic() - began) / FAST)


def after_boot(seconds: float) -> float:
    """Of a lab host that took so long to boot."""
    return bounded(max(slowness(), seconds / BOOT))


def bounded(found: float) -> float:
    return min(max(found, 1.0), MOST)


def probe() -> None:
    count = 0
    for number in range(LOOPS):
        count += number % 7
    for _ in range(STARTS):
        subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
