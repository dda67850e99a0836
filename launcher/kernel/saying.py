"""The path of a program in, the first line of what it says with --version out; bounded in time and in what it may say.

It gets nothing to read, no environment of ours, and ends with the question.
"""

from __future__ import annotations

import os
import select
import time
from contextlib import suppress

from launcher.signals import signal

_SECONDS = 5.0
_BYTES = 4096
_ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}


def version_line(path: str) -> str:
    """Empty where it says none."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    try:
        pid = _started(path, writing)
    except OSError:
        os.close(reading)
        return ""
    finally:
        os.close(writing)
    try:
        return _first_line(reading)
    finally:
        os.close(reading)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _started(path: str, writing: int) -> int:
    """What systemd handed to us, VFIO's groups among it, would be inherited by whoever we start."""
    others = (int(name) for name in os.listdir("/proc/self/fd"))
    streams = (
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, writing, 1),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        *((os.POSIX_SPAWN_CLOSE, fd) for fd in others if fd > 2),
    )
    return os.posix_spawn(path, [path, "--version"], _ENVIRONMENT, file_actions=streams, setsid=True)


def _first_line(reading: int) -> str:
    """As far as it comes in time: a program that says nothing and does not end is none that we know."""
    said, end = b"", time.monotonic() + _SECONDS
    waiting = select.poll()
    waiting.register(reading, select.POLLIN)
    while b"\n" not in said and len(said) < _BYTES and (left := end - time.monotonic()) > 0:
        if not waiting.poll(left * 1000) or not (piece := os.read(reading, _BYTES)):
            break
        said += piece
    return said[:_BYTES].decode(errors="replace").partition("\n")[0].strip()
