"""What was done to the host and how to undo it: one line each, on disk before the deed. Read back after any death.

A line is {"n", "op", "undo"} before a deed and {"undone": n} after its undo; the first line says who wrote it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

FORMAT_VERSION = 1


class Entry(NamedTuple):
    n: int
    op: str
    undo: dict[str, Any]


class Journal:
    """Append-only. Every method returns when the line is on disk."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        size = os.fstat(self._fd).st_size
        if size == 0:
            self._append({"journal": FORMAT_VERSION, "keeper": os.getpid()})

        elif os.pread(self._fd, 1, size - 1) != b"\n":
            os.write(self._fd, b"\n")  # the last line was torn; it stays alone

    def before(self, n: int, op: str, undo: dict[str, Any]) -> None:
        self._append({"n": n, "op": op, "undo": undo})

    def undone(self, n: int) -> None:
        self._append({"undone": n})

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _append(self, line: dict[str, Any]) -> None:
        os.write(self._fd, json.dumps(line).encode() + b"\n")
        os.fdatasync(self._fd)


def pending(path: Path) -> list[Entry]:
    """What still has to be undone, last deed first. A torn last line was never acted on and is passed over."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    entries: dict[int, Entry] = {}
    for line in lines:
        record = _parse(line)
        if isinstance(record.get("undone"), int):
            entries.pop(record["undone"], None)
        elif isinstance(record.get("n"), int):
            undo = record.get("undo")
            entries[record["n"]] = Entry(record["n"], str(record.get("op")), undo if isinstance(undo, dict) else {})
    return sorted(entries.values(), reverse=True)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) else {}
