"""A command in, started with stamps.c preloaded -> the moments that it noted, in seconds of CLOCK_MONOTONIC."""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.contenders import ENVIRONMENT

LAYOUT = struct.Struct("qq")


@dataclass(frozen=True, slots=True)
class Stamps:
    """Each is 0 while it has not happened."""

    first_run: float
    last_return: float


@dataclass(frozen=True, slots=True)
class StampFile:
    path: Path
    preloaded: Path

    def environment(self) -> dict[str, str]:
        """For one start: the file is made anew."""
        self.path.unlink(missing_ok=True)
        return ENVIRONMENT | {"LD_PRELOAD": str(self.preloaded), "STAMPS": str(self.path)}

    def read(self) -> Stamps:
        content = self.path.read_bytes() if self.path.exists() else b""
        run, returned = LAYOUT.unpack(content.ljust(LAYOUT.size, b"\0")[: LAYOUT.size])
        return Stamps(run / 1e9, returned / 1e9)


def now() -> float:
    return time.clock_gettime(time.CLOCK_MONOTONIC)
