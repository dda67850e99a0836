"""The guest's serial output on disk: plain text, at most 1 MiB, the oldest half goes first."""

from __future__ import annotations

import os

from launcher.values import KIB, MIB

MOST, KEEP = MIB, 512 * KIB


class ConsoleLog:
    """`descriptor` is of an empty file, for reading and writing."""

    def __init__(self, descriptor: int) -> None:
        self._fd = descriptor
        self._size = 0

    def append(self, data: bytes) -> None:
        """At the end; the oldest half goes when it would be too long. OSError: a full /run."""
        if self._size + len(data) > MOST:
            self._shorten()
        self._size += os.pwrite(self._fd, data[-KEEP:], self._size)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _shorten(self) -> None:
        kept = os.pread(self._fd, KEEP, max(self._size - KEEP, 0))
        os.pwrite(self._fd, kept, 0)
        os.ftruncate(self._fd, len(kept))
        self._size = len(kept)
