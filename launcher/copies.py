"""Bytes of files in; the same bytes by their digest, in another process, out: by a memfd that both have.

Who plans reads and digests each file. To who loads them right after that a copy is what was digested, and need not be
digested again: of an initial RAM disk as distributions make them that takes as long as all else of a start.
"""

from __future__ import annotations

import os
from contextlib import suppress

from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    Places = dict[str, tuple[int, int]]

START = 1 << 30  # where they begin in the memfd, which is for something else before that
PAGE = 1 << 12
LEAST, MOST = 1 << 19, 1 << 28  # bytes of a file that is worth it, and of all: they take memory until they are loaded


class Copies:
    """`places` are offset, at a page's start, and size, by digest. Without a memfd there are none. `spare`: bytes that
    they may take."""

    def __init__(self, memfd: int = -1, places: Places | None = None) -> None:
        self.places, self.spare = places or {}, MOST
        self._memfd = memfd

    def read(self, digest: str) -> memoryview | None:
        """It is mapped, not read, for as long as somebody has it. None: there is no copy, or not all of it."""
        if digest not in self.places:
            return None
        from mmap import PROT_READ, mmap

        offset, size = self.places[digest]
        with suppress(ValueError, OSError):  # it is shorter; no room
            return memoryview(mmap(self._memfd, size, prot=PROT_READ, offset=offset))
        return None

    def forget(self, digest: str) -> None:
        """It was no copy of anything that there is: whoever loads the file reads it again."""
        self.places.pop(digest, None)

    def descriptors(self) -> tuple[int, ...]:
        return () if self._memfd < 0 else (self._memfd,)

    def close(self) -> None:
        memfd, self._memfd, self.places = self._memfd, -1, {}
        if memfd >= 0:
            os.close(memfd)

    def digested(self, pieces: Iterable[bytes], size: int, digest: Any) -> str:
        """`pieces`, about `size` bytes, go through `digest`, and are copied on the way where there is room."""
        ends = (offset + length for offset, length in self.places.values())
        start = at = (max(ends, default=START) + PAGE - 1) // PAGE * PAGE
        room = LEAST <= size <= START + min(MOST, self.spare) - start and self._memfd >= 0
        for piece in pieces:
            digest.update(piece)
            room = room and self._takes(piece, at)
            at += len(piece)
        found = str(digest.hexdigest())
        if room and at - start == size:  # of one that has become empty all that follows would be mapped
            self.places.setdefault(found, (start, at - start))  # one that is there already has its place
        return found

    def _takes(self, piece: bytes, at: int) -> bool:
        with suppress(OSError):  # ENOMEM, ENOSPC; EFBIG of RLIMIT_FSIZE
            return os.pwrite(self._memfd, piece, at) == len(piece)
        return False


class Here:
    """Of this process: those that it makes where it plans, those that were made for it where it loads them."""

    copies = Copies()
