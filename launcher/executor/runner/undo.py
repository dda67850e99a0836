"""Deeds in, their undoing out in reverse order; each undo stands on the line after its deed."""

from __future__ import annotations

from collections.abc import Callable

from launcher.row import NamedTuple


class Deed(NamedTuple):
    n: int
    undo: Callable[[], None]
    stays: bool


class UndoStack:
    def __init__(self) -> None:
        self._deeds: list[Deed] = []

    def push(self, n: int, undo: Callable[[], None], *, stays: bool = False) -> None:
        """`n` is the step it belongs to. What `stays` is undone at the very end only, and not told."""
        self._deeds.append(Deed(n, undo, stays))

    def push_last(self, n: int, undo: Callable[[], None]) -> None:
        """To be undone when all else has been."""
        self._deeds.insert(0, Deed(n, undo, stays=False))

    def unwind(
        self, undone: Callable[[int], None], failed: Callable[[int, OSError], None], *, down_to: int = 0
    ) -> None:
        """Undo the deeds of step `down_to` and later, last first. What fails is told and does not keep the rest."""
        bad: set[int] = set()
        kept: list[Deed] = []
        while self._deeds and self._deeds[-1].n >= down_to:
            deed = self._deeds.pop()
            if deed.stays and down_to:
                kept.append(deed)
                continue
            try:
                deed.undo()
            except OSError as error:
                bad.add(deed.n)
                failed(deed.n, error)
            if not deed.stays and deed.n not in bad and all(one.n != deed.n or one.stays for one in self._deeds):
                undone(deed.n)
        self._deeds += reversed(kept)
