"""A state folder in; the processes that hold its lock, out: keeper and runner, and what became of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from launcher.row import NamedTuple
from launcher.signals import signal
from launcher.typed import TYPE_CHECKING
from launcher.vms.channel import Channel
from launcher.vms.folder_state import SOCKET, STATE
from launcher.vms.looking import is_up, read_json

if TYPE_CHECKING:
    from launcher.vms.way import StrPath

PROC = "/proc"
DELETED = " (deleted)"  # what the kernel puts behind the name of what has none any more


class Holder(NamedTuple):
    """`stopped`: by SIGSTOP or a debugger; it does nothing until SIGCONT."""

    pid: int
    stopped: bool

    def __str__(self) -> str:
        return f"process {self.pid}{' (stopped)' if self.stopped else ''}"


def holders(folder: StrPath) -> tuple[Holder, ...]:
    """A state folder -> the processes that hold its lock, oldest first. Who only looks at the folder is none of them.

    Nor are processes that we may not look at, but for the runner: what it holds only root may see, so it is known by
    what its keeper has written down of it, while somebody holds the folder.
    """
    pids = sorted(int(entry) for entry in os.listdir(PROC) if entry.isdecimal())
    return tuple(Holder(pid, _is_stopped(pid)) for pid in pids if _is_one(pid, folder))


def is_orphaned(folder: StrPath) -> bool:
    """A state folder -> whether its keeper is dead, and its runner lives on and holds the lock.

    A runner that is just leaving is one, too.
    """
    try:
        Channel.connect(os.path.join(folder, SOCKET)).close()
    except (ConnectionRefusedError, FileNotFoundError):
        # A keeper writes that it has begun after it listens, its end before it stops.
        state = read_json(os.path.join(folder, STATE))
        return isinstance(state, dict) and state.get("phase") != "ended" and is_up(folder)
    except OSError:  # so many wait at its door
        pass
    return False


def is_stuck(folder: StrPath) -> bool:
    """A state folder -> whether its keeper is stopped; or it is dead, and its runner is stopped.

    Nothing happens there by itself.
    """
    found, state = holders(folder), read_json(os.path.join(folder, STATE))
    keeper = [one for one in found if isinstance(state, dict) and one.pid == state.get("keeper")]
    return any(one.stopped for one in keeper or found)


def homeless(root: StrPath) -> Iterator[tuple[str, int]]:
    """Name and keeper of each VM that is up and whose state folder under `root` somebody has deleted.

    A process that we may not look at is none of them: root sees all, others their own where the kernel lets them.
    """
    above = f"{os.path.realpath(root)}/"
    pids = sorted(int(entry) for entry in os.listdir(PROC) if entry.isdecimal())
    held = {pid: folder for pid in pids for folder in _without_a_name(pid, above) if _holds(pid, folder)}
    for pid, folder in held.items():
        if _parent(pid) not in held:  # the keeper's child is the runner, which holds it as well
            yield folder.removeprefix(above).removesuffix(DELETED), pid


def kill_holders(folder: StrPath) -> None:
    """Kill the processes that hold the folder's lock, by pidfd: a number may be somebody else's by the time."""
    for one in holders(folder):
        with suppress(ProcessLookupError):
            pidfd = os.pidfd_open(one.pid)
            try:
                if _is_one(one.pid, folder):
                    signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            finally:
                os.close(pidfd)


def began(pid: int) -> int | None:
    """When, in ticks of the clock since the host's start: a pid comes again, with this it does not (proc(5), stat)."""
    with suppress(OSError, ValueError, IndexError):
        return int(_stat(pid).rpartition(") ")[2].split()[19])
    return None


def is_dead(pid: int) -> bool:
    """It has ended, and nobody has reaped it yet."""
    return _state(pid) in ("Z", "X")


def _is_one(pid: int, folder: StrPath) -> bool:
    return _holds(pid, os.path.realpath(folder)) or _is_runner(pid, folder)


def _is_runner(pid: int, folder: StrPath) -> bool:
    state = read_json(os.path.join(folder, STATE))
    noted = state.get("runner") if isinstance(state, dict) else None
    return noted == [pid, began(pid)] and noted[1] is not None and is_up(folder)


def openers(node: str) -> tuple[int, ...]:
    """The path of a node -> pids of the processes that have it open, but for ourselves.

    A node is known by its number: others may call any file so.
    """
    try:
        number = os.stat(node).st_rdev
    except OSError:
        return ()
    others = (int(entry) for entry in os.listdir(PROC) if entry.isdecimal() and int(entry) != os.getpid())
    return tuple(sorted(pid for pid in others if has_open(pid, node, number)))


def has_open(pid: int, node: str, number: int) -> bool:
    with suppress(OSError):  # it has gone, or is not ours
        for entry in os.scandir(f"{PROC}/{pid}/fd"):
            with suppress(OSError):
                if os.readlink(entry.path) == node and os.stat(entry.path).st_rdev == number:
                    return True
    return False


def _parent(pid: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        return int(_stat(pid).rpartition(") ")[2].split()[1])
    return 0


def _without_a_name(pid: int, above: str) -> set[str]:
    found = set()
    with suppress(OSError):  # it has gone, or is not ours
        for entry in os.scandir(f"{PROC}/{pid}/fd"):
            with suppress(OSError):
                found.add(os.readlink(entry.path))
    return {one for one in found if one.startswith(above) and one.endswith(DELETED)}


def _holds(pid: int, folder: str) -> bool:
    return any(" FLOCK " in lock and " WRITE " in lock for lock in _locks(pid, folder))


def _locks(pid: int, folder: str) -> Iterator[str]:
    """Of its descriptors of this folder (proc(5), fdinfo)."""
    with suppress(OSError):  # it has gone, or is not ours
        for entry in os.scandir(f"{PROC}/{pid}/fd"):
            with suppress(OSError):
                if os.readlink(entry.path) == folder:
                    yield _text(f"{PROC}/{pid}/fdinfo/{entry.name}").partition("lock:")[2]


def _is_stopped(pid: int) -> bool:
    return _state(pid) in ("T", "t")


def _state(pid: int) -> str:
    with suppress(OSError):
        return _stat(pid).rpartition(") ")[2][:1]
    return ""


def _stat(pid: int) -> str:
    return _text(f"{PROC}/{pid}/stat")


def _text(path: str) -> str:
    with open(path) as file:
        return file.read()
