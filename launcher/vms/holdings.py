"""The pid of a process of a VM in; what it holds while it lives out, as /proc says (proc(5), status and fd)."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

from launcher.row import NamedTuple
from launcher.vms import holders

PROC = Path(holders.PROC)


class Holdings(NamedTuple):
    """Uids are real, effective, saved, and that of its files. `filters` of seccomp: a count for each thread by name.

    `files` are what its descriptors are of, with how many; `name_spaces`, in the words of namespaces(7), those that it
    does not share with us. None: we may not look.
    """

    pid: int
    uids: tuple[int, ...]
    gids: tuple[int, ...]
    capabilities: int  # a bit for each that it has or could take
    no_new_privs: bool
    filters: dict[str, int]
    files: dict[str, int] | None
    name_spaces: tuple[str, ...] | None = None


def holdings(pid: int) -> Holdings | None:
    """The pid of a process -> what it holds now. None: the process has gone."""
    with suppress(OSError, KeyError, ValueError):
        status = _status(PROC / str(pid))
        return Holdings(
            pid=pid,
            uids=tuple(map(int, status["Uid"].split())),
            gids=tuple(map(int, status["Gid"].split())),
            capabilities=int(status["CapPrm"], 16) | int(status["CapBnd"], 16) * (status["NoNewPrivs"] == "0"),
            no_new_privs=status["NoNewPrivs"] == "1",
            filters=dict(_filters(pid)),
            files=_files(pid),
            name_spaces=_name_spaces(pid),
        )
    return None


def _status(task: Path) -> dict[str, str]:
    pairs = (line.partition(":") for line in (task / "status").read_text().splitlines())
    return {name: value.strip() for name, _, value in pairs}


def _filters(pid: int) -> list[tuple[str, int]]:
    """Before Linux 5.9 the kernel only says that there are some."""
    found = []
    for task in sorted((PROC / str(pid) / "task").iterdir(), key=lambda one: int(one.name)):
        with suppress(OSError):  # a thread that has just ended
            status = _status(task)
            count = int(status.get("Seccomp_filters", status.get("Seccomp") == "2"))
            found.append((f"{status['Name']} {task.name}", count))
    return found


def _name(target: str) -> str:
    """`anon_inode:[eventfd]` and `socket:[4711]` without what is in the way."""
    kind, _, what = target.partition(":[")
    return what.rstrip("]") if kind == "anon_inode" and what else kind


def _files(pid: int) -> dict[str, int] | None:
    found = Counter[str]()
    try:
        for entry in os.scandir(PROC / str(pid) / "fd"):
            with suppress(FileNotFoundError):  # closed meanwhile
                found[_name(os.readlink(entry.path))] += 1
    except OSError:
        return None
    return dict(sorted(found.items()))


def _name_spaces(pid: int) -> tuple[str, ...] | None:
    """Without those that only its children will have."""
    mine, its = PROC / "self" / "ns", PROC / str(pid) / "ns"
    try:
        names = sorted(name for name in os.listdir(mine) if not name.endswith("_for_children"))
        return tuple(name for name in names if os.readlink(its / name) != os.readlink(mine / name))
    except OSError:
        return None
