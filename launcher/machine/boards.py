"""The name of an architecture in, its board out. Pure."""

from __future__ import annotations

from launcher.machine.board import Board
from launcher.machine.x86.board import X86

BOARDS = {"x86_64": X86}


def board_of(architecture: str) -> Board:
    """A host whose architecture has none is refused (E405); the rest of its plan is shown on x86."""
    return BOARDS.get(architecture, X86)
