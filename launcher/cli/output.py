"""The guest's words in; as they are or as JSON lines on stdout, as fast as it takes them, out."""

from __future__ import annotations

import codecs
import json
import os
import select
import sys
from collections.abc import Callable

Shape = Callable[[bytes], bytes]


class Output:
    """What waits for room on stdout. `shape` turns the guest's bytes into what is written."""

    def __init__(self, shape: Shape = bytes) -> None:
        self._shape = shape
        self.waiting = b""
        self.line_open = False  # the last byte was not a newline

    def __call__(self, data: bytes) -> None:
        self.waiting += self._shape(data)

    def flush(self) -> None:
        """Some of what waits: call it when stdout has room, which for a pipe is at least PIPE_BUF."""
        piece = self.waiting[: select.PIPE_BUF]
        if piece:
            self.line_open = not piece.endswith(b"\n")
            self.waiting = self.waiting[os.write(sys.stdout.fileno(), piece) :]


def silence(_: bytes) -> bytes:
    """The words stay in the guest's log."""
    return b""


def json_lines() -> Shape:
    """{"console": text} for each piece; what is not UTF-8 is replaced."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def line(data: bytes) -> bytes:
        text = decoder.decode(data)
        return json.dumps({"console": text}).encode() + b"\n" if text else b""

    return line
