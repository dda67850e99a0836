"""The folder of a dead VM in; what its journal says is still done, undone; the folder gone."""

from __future__ import annotations

from launcher.errors import Diagnostic, HostNotRestored, Refused, StepFailed
from launcher.executor.keeper.changing import (
    commands,
    describe,
    groups_reached,
    left_in,
    left_so,
    nodes_reached,
    undo_all,
)
from launcher.executor.keeper.claim import claim_groups
from launcher.typed import TYPE_CHECKING
from launcher.vms.holders import openers
from launcher.vms.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable

    from launcher.kernel.api import Kernel
    from launcher.vms.folder import StateFolder
    from launcher.vms.journal import Entry

NODES = "/dev/vfio"
MOST_NAMED = 5  # of what is in the folder and not ours


def restore(
    folder: StateFolder, kernel: Kernel, nodes: str = NODES, told: Callable[[Diagnostic], None] = lambda _: None
) -> None:
    """The caller holds the folder's lock. HostNotRestored names what is left; the folder and its journal stay. `told`
    hears what is put back but for what somebody else has set since.

    Refused, and nothing is touched: a later vmlaunch wrote the journal, or somebody has one of the groups now.
    StepFailed when all is done and the folder has to stay.
    """
    if found := left_in(folder):
        numbers = set(groups_reached(found, kernel))
        folder.groups = claim_groups(numbers, folder)
        for number in sorted(numbers):
            _check_closed(number, f"{nodes}/{number}")
        for number, node in nodes_reached(found, kernel):
            _check_closed(number, node)
        _undo(found, folder, kernel, told)
    _remove(folder)


def _check_closed(number: int, node: str) -> None:
    """Refused when a process has the group open: the VM of another user takes no lock of ours."""
    if pids := openers(node):
        who = ", ".join(f"process {pid}" for pid in pids)
        help_ = (f"`ps -f {pids[0]}` shows whose it is; `down` again when it has ended",)
        raise Refused(Diagnostic("E529", f"IOMMU group {number} is taken by {who}, which has {node} open", help=help_))


def _undo(found: list[Entry], folder: StateFolder, kernel: Kernel, told: Callable[[Diagnostic], None]) -> None:
    """What was found in the journal is in it still: nobody else has the folder."""
    journal = Journal(folder)
    left = undo_all(found, journal, kernel, lambda _, note: told(left_so(note)) if note else None)
    journal.close()
    if left:
        evidence = tuple(f"{describe(entry)}: {error.strerror}" for entry, error in left)
        ways = tuple(f"`{commands(entry)}`" for entry, _ in left)
        raise HostNotRestored(Diagnostic("E540", "the host could not be put back", evidence=evidence, help=ways))


def _remove(folder: StateFolder) -> None:
    """StepFailed when the folder has to stay. The files that vmlaunch made are gone from it in any case."""
    try:
        foreign = folder.remove()
    except OSError as error:
        raise _stays(folder, error.strerror or str(error)) from None
    if foreign:
        more = f" and {len(foreign) - MOST_NAMED} more" if len(foreign) > MOST_NAMED else ""
        raise _stays(folder, f"vmlaunch did not make {', '.join(foreign[:MOST_NAMED])}{more}")


def _stays(folder: StateFolder, cause: str) -> StepFailed:
    help_ = ("take away what is in it and remove it, or leave it: the name is free",)
    message = f"{folder.name} is down, but failed to remove {folder.path}: {cause}"
    return StepFailed(Diagnostic("E542", message, help=help_))
