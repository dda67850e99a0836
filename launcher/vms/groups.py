"""Numbers of IOMMU groups in; locks on them, or the VM of this user that has one of them, out.

No two VMs of one user claim the same group. The locks are files in a folder that only this user can enter. Other users
are kept away by VFIO, which opens a group once (EBUSY), for a process that may open its node.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator

from launcher.plan.codec import groups_in
from launcher.typed import TYPE_CHECKING
from launcher.vms.folder_state import PLAN
from launcher.vms.looking import all_folders, is_up, read_json
from launcher.vms.way import open_own, open_way

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.vms.way import StrPath

LOCKS = ".groups"  # beside the state folders: no VM has such a name


class GroupTaken(OSError):
    """A live VM holds the lock of this group."""

    def __init__(self, number: int) -> None:
        super().__init__(f"IOMMU group {number} is taken")
        self.number = number


def lock_groups(numbers: Collection[int], root: StrPath) -> tuple[int, ...]:
    """Descriptors that hold the locks for as long as one of them is open; `root` is that of the state folders.

    GroupTaken, or another OSError: none is held.
    """
    held: list[int] = []
    try:
        for number in sorted(numbers):
            held.append(_open(root, str(number)))
            _lock(held[-1], number)
    except BaseException:
        for lock in held:
            os.close(lock)
        raise
    return tuple(held)


def claimant(numbers: Collection[int], own: StrPath) -> tuple[int, str] | None:
    """One of these groups and the name of the VM that is up with it; `own` is the folder of the VM that asks."""
    found = (
        (number, folder.name)
        for number, folder in claims(os.path.dirname(own))
        if number in numbers and folder.name != os.path.basename(own)
    )
    return next(found, None)


def claims(root: StrPath) -> Iterator[tuple[int, Path]]:
    """Groups of VMs that are up, with their folders, which are those under `root`."""
    for folder in all_folders(root):
        groups = sorted(groups_in(read_json(folder / PLAN)))
        if groups and is_up(folder):
            yield from ((number, folder) for number in groups)


def _open(root: StrPath, name: str) -> int:
    """A lock file is never removed: two VMs could then have locked two files of one name."""
    above = open_way(os.path.join(root, LOCKS), make=True)
    try:
        folder = open_own(above, ".", os.path.join(root, LOCKS))
    finally:
        os.close(above)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open(name, flags, 0o600, dir_fd=folder)
    finally:
        os.close(folder)


def _lock(lock: int, number: int) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise GroupTaken(number) from None
