"""What was done to the host and how to undo it: one line each, on disk before the deed; out, what has to be undone.

The first line is {"journal": format, "vmlaunch": who wrote it}; then {"n", "op", "undo"} before a deed and
{"undone": n} after its undo.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from functools import partial

from launcher.errors import Diagnostic, Refused
from launcher.json_text import dumps, loads
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING, Any
from launcher.version import VERSION
from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import JOURNAL
from launcher.vms.looking import read_file
from launcher.vms.way import MOST, read_whole

if TYPE_CHECKING:
    from launcher.vms.way import StrPath

FORMAT_VERSION = 1
UNREADABLE = "unreadable"  # the op of a line that says nothing to us; its `n` is the number of the line, negative


class Entry(NamedTuple):
    n: int
    op: str
    undo: dict[str, Any]


class Journal:
    """Append-only. Every method returns when the line is in the file, and on disk where something follows from it that
    outlives this process: a disk takes milliseconds. OSError: it is not in the file.

    It is written and read by one descriptor. In a folder without a journal a new one begins; else it goes on.
    """

    def __init__(self, folder: StateFolder) -> None:
        self._name = folder.name
        self._fd = folder.open(JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        try:
            self._size = self._whole().rfind(b"\n") + 1
            os.ftruncate(self._fd, self._size)  # a torn last line was never acted on
            if self._size == 0:
                self._append({"journal": FORMAT_VERSION, "vmlaunch": VERSION, "keeper": os.getpid()}, synced=False)
        except BaseException:
            self.close()
            raise

    def pending(self) -> list[Entry]:
        """What still has to be undone, as `pending` gives it."""
        return entries(self._whole(), self._name)

    def before(self, n: int, op: str, undo: dict[str, Any], *, changes: bool = True) -> None:
        """`changes`: the deed that follows leaves something behind."""
        self._append({"n": n, "op": op, "undo": undo}, synced=changes)

    def undone(self, n: int) -> None:
        self._append({"undone": n}, synced=True)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _whole(self) -> bytes:
        status = os.fstat(self._fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > MOST:
            raise OSError(errno.EINVAL, "the journal is no file of this VM", JOURNAL)
        return read_whole(self._fd)

    def _append(self, line: dict[str, Any], *, synced: bool) -> None:
        data = dumps(line).encode() + b"\n"
        try:
            if os.write(self._fd, data) < len(data):  # a full file system takes what it can
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if synced:  # with all lines before it
                os.fdatasync(self._fd)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)


def pending(path: StrPath) -> list[Entry]:
    """What still has to be undone, last deed first. Refused when a later vmlaunch wrote it, or it cannot be read.

    A torn last line was never acted on and is passed over. A whole one that says nothing to us stays pending.
    """
    return _pending(partial(read_file, path), os.path.basename(os.path.dirname(path)))


def pending_in(folder: StateFolder) -> list[Entry]:
    """The same of a folder that is claimed."""
    return _pending(partial(folder.read, JOURNAL), folder.name)


def _pending(read: Callable[[], bytes], name: str) -> list[Entry]:
    try:
        whole = read()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _foreign(name, f"cannot be read: {error.strerror}") from None
    return entries(whole, name)


def entries(whole: bytes, name: str) -> list[Entry]:
    found: dict[int, Entry] = {}
    for number, line in enumerate(whole.split(b"\n")[:-1], 1):
        plain = _parse(line)
        if "journal" in plain:
            _check_format(plain, name)
        elif isinstance(plain.get("undone"), int):
            found.pop(plain["undone"], None)
        else:
            entry = _entry(plain) or Entry(-number, UNREADABLE, {})
            found[entry.n] = entry
    return sorted(found.values(), key=lambda entry: entry.n, reverse=True)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        plain = loads(line.decode())
    except (ValueError, RecursionError):
        return {}
    return plain if isinstance(plain, dict) else {}


def _entry(plain: dict[str, Any]) -> Entry | None:
    n, op, undo = plain.get("n"), plain.get("op"), plain.get("undo")
    if isinstance(n, int) and n > 0 and isinstance(op, str) and isinstance(undo, dict):
        return Entry(n, op, undo)
    return None


def _check_format(header: dict[str, Any], name: str) -> None:
    """The formats up to ours can be read; what a later one means, only later versions know."""
    written = header["journal"]
    if not isinstance(written, int) or written > FORMAT_VERSION:
        who = f"was written by vmlaunch {header.get('vmlaunch')} in format {written}"
        raise _foreign(name, f"{who}, and vmlaunch {VERSION} reads formats up to {FORMAT_VERSION}")


def _foreign(name: str, fact: str) -> Refused:
    help_ = ("run `down` with the version that ran `up`", f"it is {JOURNAL} in the folder of {name}")
    return Refused(Diagnostic("E512", f"the journal of {name} {fact}", help=help_))
