"""A terminal's keys in; what the guest gets, and what the person wants of us behind `^]`, out."""

from __future__ import annotations

import os
import sys
import termios
from contextlib import contextmanager, suppress

from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN = 0
ESCAPE = 0x1D  # ^]
HINT = "\r\n[^] again: send it; d: leave the VM running; x: power button, and again: end it]\r\n"
INPUT_FLAGS = (
    termios.BRKINT | termios.ICRNL | termios.INLCR | termios.IGNCR | termios.INPCK | termios.ISTRIP | termios.IXON
)


class Typed(NamedTuple):
    """Bytes for the guest, and orders: `leave`, `stop`, `help`."""

    data: bytes
    orders: tuple[str, ...]


class Keyboard:
    """Keeps in mind whether `^]` was the last key."""

    def __init__(self) -> None:
        self._escaped = False

    def take(self, keys: bytes) -> Typed:
        data, orders = bytearray(), []
        for key in keys:
            if self._escaped:
                self._escaped = False
                if key == ESCAPE:
                    data.append(key)
                else:
                    orders.append({ord("d"): "leave", ord("x"): "stop"}.get(key, "help"))
            elif key == ESCAPE:
                self._escaped = True
            else:
                data.append(key)
        return Typed(bytes(data), tuple(orders))


def is_ours() -> bool:
    """Whether stdin is a terminal and we are in its foreground: else reading it would stop us (SIGTTIN)."""
    try:
        return os.isatty(STDIN) and sys.stdout.isatty() and os.tcgetpgrp(STDIN) == os.getpgrp()
    except OSError:
        return False


@contextmanager
def raw() -> Iterator[None]:
    """Every key as it is typed, ^C too; output stays as it was. Restored on every way out."""
    before = termios.tcgetattr(STDIN)
    changed = termios.tcgetattr(STDIN)
    changed[0] &= ~INPUT_FLAGS
    changed[3] &= ~(termios.ECHO | termios.ICANON | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(STDIN, termios.TCSADRAIN, changed)
    try:
        yield
    finally:
        with suppress(termios.error):  # it hung up
            termios.tcsetattr(STDIN, termios.TCSADRAIN, before)
