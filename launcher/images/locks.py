"""An open image in; what others have locked of it, as QEMU locks images, and who has it open, out. Takes no lock.

QEMU (block/file-posix.c) locks byte 100 + n of an image for each permission n that it has, and byte 200 + n for each
that it leaves to nobody else, with a lock that many can have. So a lock that nobody else can have shows them.
"""

from __future__ import annotations

import fcntl
import os
import stat
import struct
from collections.abc import Iterator

from launcher.images.disk_files import Opener, Permission
from launcher.row import NamedTuple
from launcher.typed import get_args

_TAKEN, _REFUSED = 100, 200
_FLOCK = struct.Struct("hhqqi4x")
_GETLK = 36  # F_OFD_GETLK (asm-generic/fcntl.h); fcntl has no name for it
_PERMISSIONS: tuple[Permission, ...] = get_args(Permission)


class Locks(NamedTuple):
    taken: tuple[Permission, ...]
    refused: tuple[Permission, ...]


def locks_of(descriptor: int) -> Locks:
    """A file system that has no locks has none that are taken."""
    return Locks(tuple(_locked(descriptor, _TAKEN)), tuple(_locked(descriptor, _REFUSED)))


def _locked(descriptor: int, base: int) -> Iterator[Permission]:
    for number, permission in enumerate(_PERMISSIONS):
        asked = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, base + number, 1, 0)
        try:
            kind, *_ = _FLOCK.unpack(fcntl.fcntl(descriptor, _GETLK, asked))
        except OSError:
            return
        if kind != fcntl.F_UNLCK:
            yield permission


def openers_of(descriptor: int) -> tuple[Opener, ...]:
    """As far as they can be seen, and have it open by its name: any other file may be one of a network file system,
    whose server would be waited for."""
    status, found = os.fstat(descriptor), []
    wanted, named = _file(status), os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2]
    start = "/dev/" if stat.S_ISBLK(status.st_mode) else "/"
    end = "" if stat.S_ISBLK(status.st_mode) else f"/{named}"
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdecimal()):
        if pid != os.getpid() and any(one == wanted for one in _files(pid, start, end)):
            found.append(Opener(pid, _command(pid)))
    return tuple(found)


def _file(status: os.stat_result) -> tuple[int, int]:
    """A block device has many nodes."""
    return (0, status.st_rdev) if stat.S_ISBLK(status.st_mode) else (status.st_dev, status.st_ino)


def _files(pid: int, start: str, end: str) -> Iterator[tuple[int, int]]:
    """A device may be open by any of its nodes."""
    folder = f"/proc/{pid}/fd"
    try:
        names = os.listdir(folder)
    except OSError:  # it has ended, or is not ours to look at
        return
    for name in names:
        try:
            path = os.readlink(f"{folder}/{name}")
            if path.startswith(start) and path.endswith(end):
                yield _file(os.stat(f"{folder}/{name}"))
        except OSError:
            continue


def _command(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return file.read(64).decode(errors="replace").strip()
    except OSError:
        return "a process that has ended"
