"""Deeds in, their undoing out in reverse order; each undo stands on the line after its deed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Deed(NamedTuple):
    n: int
    undo: Callable[[], None]


class UndoStack:
    def __init__(self) -> None:
        self._deeds: list[Deed] = []

    def push(self, n: int, undo: Callable[[], None]) -> None:
        """`n` is the step it belongs to."""
        self._deeds.append(Deed(n, undo))

    def unwind(
        self, undone: Callable[[int], None], failed: Callable[[int, OSError], None], *, down_to: int = 0
    ) -> None:
        """Undo the deeds of step `down_to` and later, last first. What fails is told and does not keep the rest."""
        bad: set[int] = set()
        while self._deeds and self._deeds[-1].n >= down_to:
            n, undo = self._deeds.pop()
            try:
                undo()
            except OSError as error:
                bad.add(n)
                failed(n, error)
            if n not in bad and (not self._deeds or self._deeds[-1].n != n):
                undone(n)
