"""What is seen while a lab host works: a line for each of its tests; on a terminal the one that runs, too."""

from __future__ import annotations

import time
from typing import IO, Any, TextIO

from tests.account import FINISHED, ONCE_MORE, REPORT, STARTED

ERASED = "\r\033[K"


class Progress:
    """`inside`: where what pytest says inside goes to, if anywhere."""

    def __init__(self, name: str, out: TextIO, inside: IO[bytes] | None = None) -> None:
        self.name, self.inside, self._out = name, inside, out
        self._terminal = out.isatty()
        self._number = self._count = 0
        self._what, self._outcome = "", ""
        self._since = self._shown = 0.0

    def boots(self, count: int) -> None:
        self._number, self._count = 0, count
        self._line(f"{self.name}: {count} tests; the machine boots")
        self._begin("booting")

    def see(self, kind: str, content: Any) -> None:
        if kind == STARTED:
            if not self._number:
                self._line(f"{self.name}: the first test after {self._seconds():.0f} s")
            self._number += 1
            self._begin(short(content[0]))
        elif kind == REPORT and content["outcome"] != "passed":
            self._outcome = f"  {content['outcome']}"
        elif kind == ONCE_MORE:
            self._line(f"{self.name}: {content[0]} runs once more: {content[1]}")
            self._number -= 1
        elif kind == FINISHED:
            self._line(f"{self._place()} {self._seconds():6.1f} s  {self._what}{self._outcome}")
            self._begin("between two tests")

    def look(self) -> None:
        """Called all the time."""
        if self._terminal and time.monotonic() - self._shown >= 1:
            self._shown = time.monotonic()
            self._write(f"{ERASED}{self._place()} {self._seconds():4.0f} s    {self._what}"[:120])

    def ended(self) -> None:
        self._write(ERASED if self._terminal else "")

    def _begin(self, what: str) -> None:
        self._what, self._outcome, self._since = what, "", time.monotonic()

    def _seconds(self) -> float:
        return time.monotonic() - self._since

    def _place(self) -> str:
        return f"{self.name} {self._number:3}/{self._count}"

    def _line(self, text: str) -> None:
        self._write(f"{ERASED if self._terminal else ''}{text}\n")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()


def short(nodeid: str) -> str:
    """tests/lab/inside/test_kvm.py::test_kvm_answers[zoo] -> test_kvm.py::test_kvm_answers[zoo]"""
    return nodeid[nodeid.partition("[")[0].rfind("/") + 1 :]
