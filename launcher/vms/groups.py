"""Numbers of IOMMU groups in, locks on them out: no two VMs claim one, whoever runs them. And whose a group is."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from launcher.vms.folder import PLAN, is_up, read_json

GROUPS = Path("/sys/kernel/iommu_groups")
SYSTEM, USERS = Path("/run/vmlaunch"), Path("/run/user")


class GroupTaken(OSError):
    """A live VM holds the lock of this group."""

    def __init__(self, number: int) -> None:
        super().__init__(f"IOMMU group {number} is taken")
        self.number = number


def lock_groups(numbers: Collection[int], root: Path = GROUPS) -> tuple[int, ...]:
    """Descriptors that hold the locks for as long as one of them is open. GroupTaken: none is held.

    A group that is not there is not locked: opening it says so. Nor does a lock keep other programs away: VFIO does.
    """
    held: list[int] = []
    for number in sorted(numbers):
        try:
            held.append(os.open(root / str(number), os.O_DIRECTORY | os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            continue
        try:
            fcntl.flock(held[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            for lock in held:
                os.close(lock)
            raise GroupTaken(number) from None
    return tuple(held)


def claimant(numbers: Collection[int], own: Path) -> tuple[int, str] | None:
    """One of these groups and the name of the VM that is up with it, as far as we may look; `own` is our VM's folder.

    VMs of other users are seen by root only.
    """
    found = ((number, folder.name) for number, folder in claims(own.parent) if number in numbers and folder != own)
    return next(found, None)


def claims(root: Path | None) -> Iterator[tuple[int, Path]]:
    """Groups of VMs that are up, with their folders: those under `root`, and of others as far as we may look."""
    for each in dict.fromkeys((*([root] if root else ()), SYSTEM, *_all(USERS, "*/vmlaunch"))):
        for folder in _all(each, "*"):
            groups = sorted(_groups_of(folder))
            if groups and is_up(folder):
                yield from ((number, folder) for number in groups)


def _all(root: Path, pattern: str) -> Iterator[Path]:
    try:
        yield from sorted(root.glob(pattern))
    except OSError:
        return


def _groups_of(folder: Path) -> Iterator[int]:
    plan: Any = read_json(folder / PLAN)
    steps = plan.get("steps") if isinstance(plan, dict) else None
    for step in steps if isinstance(steps, list) else ():
        if isinstance(step, dict) and step.get("op") == "open-groups":
            args = step.get("args")
            found = args.get("groups") if isinstance(args, dict) else None
            yield from (one for one in found if isinstance(one, int)) if isinstance(found, list) else ()
