"""The guest's words in; as they are or as JSON lines on stdout, as fast as it takes them, out."""

from __future__ import annotations

import codecs
import os
import select
import sys
from collections.abc import Callable

from launcher.json_text import dumps
from launcher.patterns import re

Shape = Callable[[bytes], bytes]


class Output:
    """What waits for room on stdout. `shape` turns the guest's bytes into what is written; none are the end.

    `present`: what comes is said now, and no more what was said before we came.
    """

    def __init__(self, shape: Shape = bytes) -> None:
        self._shape = shape
        self.present = False
        self.waiting = b""
        self.line_open = False  # the last byte was not a newline
        self.begun = False  # something was said

    def __call__(self, data: bytes) -> None:
        self.begun = self.begun or bool(data)
        self.waiting += self._shape(data)

    def end(self) -> None:
        """Nothing more comes: what waits is written, and what `shape` kept for the next piece."""
        self(b"")
        while self.waiting:
            self.flush()

    def flush(self) -> None:
        """Some of what waits: call it when stdout has room, which for a pipe is at least PIPE_BUF."""
        piece = self.waiting[: select.PIPE_BUF]
        if piece:
            self.line_open = not piece.endswith(b"\n")
            self.waiting = self.waiting[os.write(sys.stdout.fileno(), piece) :]


# What a terminal answers, as if its person typed: ECMA-48 (DA, DSR, ENQ) and xterm's control sequences (sizes, modes,
# colours, DECRQSS, terminfo).
_QUESTIONS = (
    rb"\x05|\x1bZ|\x1b\[[?>=]?[0-9;]*[cnt]|\x1b\[\??[0-9;]*\$p|\x1b\[>[0-9;]*q"
    rb"|\x1b\][0-9;]*;\?(?:\x07|\x1b\\)|\x1bP[$+]q[^\x1b]*\x1b\\"
)
_BEGUN = rb"\x1b(?:\[[?>=]?[0-9;$]*|\][0-9;]*\??|P[^\x1b]{0,64})?\x1b?$"  # the rest is in the next piece


class Terminal(Output):
    """A person's. What the guest asked of a terminal before this one came is not asked again: the answer would be typed
    into whatever the guest reads now."""

    def __init__(self) -> None:
        super().__init__()
        self._held = b""

    def __call__(self, data: bytes) -> None:
        data, self._held = self._held + data, b""
        if not self.present:
            if data and (begun := re.search(_BEGUN, data)):
                data, self._held = data[: begun.start()], begun[0]
            data = re.sub(_QUESTIONS, b"", data)
        super().__call__(data)


def silence(_: bytes) -> bytes:
    """The words stay in the guest's log."""
    return b""


def harmless() -> Shape:
    """Nothing of it steers a terminal: see report.escapes. A letter, or a newline, may come in two pieces."""
    from launcher.report.escapes import escaped

    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    held = ""  # carriage returns, behind which a newline may come

    def shape(data: bytes) -> bytes:
        nonlocal held
        text = held + decoder.decode(data, final=not data)
        whole = text.rstrip("\r") if data else text
        held = text[len(whole) :]
        return escaped(whole).encode()

    return shape


def json_lines() -> Shape:
    """{"console": text} for each piece; what is not UTF-8 is replaced."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def line(data: bytes) -> bytes:
        text = decoder.decode(data, final=not data)
        return dumps({"console": text}).encode() + b"\n" if text else b""

    return line
