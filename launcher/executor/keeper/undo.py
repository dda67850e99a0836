"""How a kind of step is undone, as whoever has the journal needs it."""

from __future__ import annotations

from collections.abc import Callable

from launcher.errors import StepFailed
from launcher.kernel.api import Kernel
from launcher.row import NamedTuple
from launcher.typed import Any


class NothingDone(StepFailed):
    """A step has changed nothing, although the journal has it: what is there is somebody else's, and stays."""


class Undo(NamedTuple):
    """Of a kind of step: what the journal kept of it, read; that put back, with what is left as it is in words; in
    words for people, and as commands."""

    read: Callable[[dict[str, Any]], Any]
    restore: Callable[[Any, Kernel], str]
    describe: Callable[[Any], str]
    commands: Callable[[Any], str]
