"""A key of the lab host's keyboard, pressed now and then: an interrupt that wakes a processor which should be awake.

QEMU's emulated processor loses an interrupt when a nested guest exits in the moment that one arrives (its
`interrupt_request` is changed without a lock in target/i386/tcg/sysemu/svm_helper.c). The local APIC keeps it, but the
halted processor is not told, and if it was that of the timer nobody ever tells it: any other interrupt does.
"""

from __future__ import annotations

import json
import os
import socket
import time
from contextlib import suppress
from pathlib import Path

EVERY = 3.0  # seconds: less than a kernel waits until it takes a processor for lost
KEY = {"keys": [{"type": "qcode", "data": "shift"}], "hold-time": 1}


class Nudge:
    """`path`: the socket of QEMU's QMP. A machine that has none yet, or no more, is left alone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = time.monotonic()
        self._qmp: socket.socket | None = None

    def give(self) -> None:
        """Called all the time."""
        if time.monotonic() - self._last < EVERY:
            return
        self._last = time.monotonic()
        with suppress(OSError):
            if self._qmp is None:
                self._qmp = self._connected()
            self._say("send-key", KEY)
            self._hear()

    def close(self) -> None:
        if self._qmp is not None:
            self._qmp.close()

    def _connected(self) -> socket.socket:
        found = socket.socket(socket.AF_UNIX)
        try:
            folder = os.open(self._path.parent, os.O_PATH | os.O_CLOEXEC)  # its own path may be too long for a socket
            try:
                found.connect(f"/proc/self/fd/{folder}/{self._path.name}")
            finally:
                os.close(folder)
            found.setblocking(False)
            self._qmp = found
            self._say("qmp_capabilities", {})
        except OSError:
            found.close()
            self._qmp = None
            raise
        return found

    def _say(self, command: str, arguments: dict[str, object]) -> None:
        assert self._qmp is not None
        self._qmp.send(json.dumps({"execute": command, "arguments": arguments}).encode())

    def _hear(self) -> None:
        """What it answers is nothing to us, but it must find room for it."""
        assert self._qmp is not None
        while self._qmp.recv(1 << 16):
            pass
