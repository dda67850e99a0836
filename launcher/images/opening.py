"""A path in; what a reader makes of the file that is there, or why there is none, out.

None but a regular file is opened to be read: a FIFO waits for its writer, and some devices do something when opened.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from launcher.typed import TypeVar
from launcher.values import Missing, missing

T = TypeVar("T")


def looked_at(path: str, read: Callable[[int], T]) -> T | Missing:
    """`read` gets a descriptor; of what is no regular file only fstat(2) can be had by it. Its OSError is a Missing."""
    try:
        looked = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        return missing(error, path)
    except ValueError:  # no path: it has a NUL in it, or half of a character
        return Missing("absent", path)
    try:
        return _read(looked, read)
    except OSError as error:
        return missing(error, path)
    finally:
        os.close(looked)


def _read(looked: int, read: Callable[[int], T]) -> T:
    if not stat.S_ISREG(os.fstat(looked).st_mode):
        return read(looked)
    # By its descriptor: a name could be another file's by now.
    descriptor = os.open(f"/proc/self/fd/{looked}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return read(descriptor)
    finally:
        os.close(descriptor)
