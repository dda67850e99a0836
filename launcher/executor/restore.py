"""The folder of a dead VM in; what its journal says is still done, undone; the folder gone."""

from __future__ import annotations

from launcher.errors import Diagnostic, HostNotRestored
from launcher.executor.changing import commands, put_back
from launcher.kernel.api import Kernel
from launcher.vms.folder import JOURNAL, StateFolder
from launcher.vms.journal import Journal


def restore(folder: StateFolder, kernel: Kernel) -> None:
    """The caller holds the folder's lock. HostNotRestored names what is left; the folder and its journal stay."""
    path = folder.path / JOURNAL
    if path.exists():
        journal = Journal(path)
        left = put_back(journal, path, kernel, lambda _: None)
        journal.close()
        if left:
            evidence = tuple(f"step {entry.n}: {entry.op}: {error.strerror}" for entry, error in left)
            ways = tuple(f"`{commands(entry)}`" for entry, _ in left)
            raise HostNotRestored(Diagnostic("E512", "the host could not be put back", evidence=evidence, help=ways))
    folder.remove()
