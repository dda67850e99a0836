"""The folder of a dead VM in; what its journal says is still done, undone; the folder gone."""

from __future__ import annotations

from launcher.errors import Diagnostic, HostNotRestored
from launcher.vms.folder import JOURNAL, StateFolder
from launcher.vms.journal import pending


def restore(folder: StateFolder) -> None:
    """The caller holds the folder's lock. HostNotRestored names what this version does not know how to undo."""
    left = [entry for entry in pending(folder.path / JOURNAL) if entry.op != "keep-state"]
    if left:
        evidence = tuple(f"step {entry.n}: {entry.op} {entry.undo}" for entry in left)
        message = "the journal has entries that this version cannot undo"
        raise HostNotRestored(Diagnostic("E512", message, evidence=evidence))
    folder.remove()
