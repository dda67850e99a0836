"""The folder of a dead VM in; what its journal says is still done, undone; the folder gone."""

from __future__ import annotations

from pathlib import Path

from launcher.errors import Diagnostic, HostNotRestored
from launcher.executor.changing import commands, describe, groups_of, left_of, put_back
from launcher.executor.claim import group_taken
from launcher.kernel.api import Kernel
from launcher.vms.folder import JOURNAL, StateFolder
from launcher.vms.groups import GROUPS, GroupTaken, claimant, lock_groups
from launcher.vms.journal import Journal


def restore(folder: StateFolder, kernel: Kernel, groups: Path = GROUPS) -> None:
    """The caller holds the folder's lock. HostNotRestored names what is left; the folder and its journal stay.

    Refused, and nothing is touched: a later vmlaunch wrote the journal, or a VM that is up has one of the groups now.
    """
    if found := left_of(folder.path / JOURNAL):
        try:
            folder.groups = lock_groups(set(groups_of(found, kernel)), groups)
        except GroupTaken as error:
            raise group_taken(error.number, claimant((error.number,), folder.path)) from None
        _put_back(folder, kernel)
    folder.remove()


def _put_back(folder: StateFolder, kernel: Kernel) -> None:
    path = folder.path / JOURNAL
    journal = Journal(path)
    left = put_back(journal, path, kernel, lambda _: None)
    journal.close()
    if left:
        evidence = tuple(f"{describe(entry)}: {error.strerror}" for entry, error in left)
        ways = tuple(f"`{commands(entry)}`" for entry, _ in left)
        raise HostNotRestored(Diagnostic("E540", "the host could not be put back", evidence=evidence, help=ways))
