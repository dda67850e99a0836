"""Paths of disks, shares and sockets in, what is known of them out. Opens regular files and block devices only.

What could do something by being opened, as a watchdog or a pipe, is looked at by its name alone.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from launcher.images.contents import content_of
from launcher.images.disk_files import MOST_LINKS, Broken, Disk, DiskFile, Folder, Rights, Socket
from launcher.images.locks import Locks, locks_of, openers_of
from launcher.images.qcow2 import MAGIC, parse_qcow2
from launcher.images.rights import identity_of, rights_of
from launcher.patterns import re
from launcher.record import replace
from launcher.typed import Literal
from launcher.values import Missing, missing

Format = Literal["raw", "qcow2"]
_HEAD = 4096
_PROTOCOL = r"[^/:]*:"  # `nbd://host/disk`, `json:{...}`; a path with a colon behind a slash is a path (block.c)
_OPENED: dict[int, Literal["file", "block"]] = {stat.S_IFREG: "file", stat.S_IFBLK: "block"}


def read_disk(path: str, format_: Format, *, boots: bool = False) -> Disk | Missing:
    """Backing files only of what is to be served as qcow2: what a raw disk holds is its guest's. `boots`: firmware is
    to start from it, and its first sectors are looked at."""
    top = read_disk_file(path, format_, boots=boots)
    if isinstance(top, Missing):
        return top
    chain, broken = [top], None
    while broken is None and (backing := _backing(chain[-1])) is not None:
        following = _next(backing, chain, boots=boots)
        if isinstance(following, Broken):
            broken = following
        else:
            chain.append(following)
    return Disk(tuple(chain), broken)


def _backing(one: DiskFile) -> str | None:
    """Relative to the name that the image above was opened by, as QEMU has it; `file:` says nothing."""
    named = one.qcow2.backing if one.format == "qcow2" and one.qcow2 else None
    return named.removeprefix("file:") if named else None


def _next(name: str, chain: list[DiskFile], *, boots: bool) -> DiskFile | Broken:
    above = chain[-1]
    said = above.qcow2.backing_format if above.qcow2 else None
    if re.match(_PROTOCOL, name):
        return Broken("remote", above.path, name)
    path = os.path.join(os.path.dirname(above.path), name)
    if said not in (None, "raw", "qcow2"):
        return Broken("foreign", above.path, name, path, said)
    found = read_disk_file(path, "qcow2" if said == "qcow2" else "raw", boots=boots)
    if isinstance(found, Missing):
        return Broken(found.missing, above.path, name, path)
    if any(one.identity == found.identity for one in chain):
        return Broken("loop", above.path, name, path)
    if said is None and found.qcow2 is not None:
        return Broken("unsaid", above.path, name, path)
    return found if len(chain) < MOST_LINKS else Broken("long", above.path, name, path)


def read_disk_file(path: str, format_: Format, *, boots: bool = False) -> DiskFile | Missing:
    try:
        with _looked_at(path) as looked:
            status = os.fstat(looked)
            kind = _OPENED.get(stat.S_IFMT(status.st_mode))
            if kind is None:
                other: Literal["directory", "special"] = "directory" if stat.S_ISDIR(status.st_mode) else "special"
                return DiskFile(path, other, format_, identity_of(status), rights_of(path, status))
            # By its descriptor: a name could be another file's by now.
            descriptor = os.open(f"/proc/self/fd/{looked}", os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
            try:
                found = _described(path, descriptor, kind, format_)
                return replace(found, boots=_boots(descriptor, found)) if boots else found
            finally:
                os.close(descriptor)
    except OSError as error:
        # A device that no driver has is there all the same, by its name.
        return Missing("unreadable", path) if error.errno == errno.ENXIO else missing(error, path)
    except ValueError:  # no path: it has a NUL in it, or half of a character
        return Missing("absent", path)


@contextmanager
def _looked_at(path: str) -> Iterator[int]:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _described(path: str, descriptor: int, kind: Literal["file", "block"], format_: Format) -> DiskFile:
    status = os.fstat(descriptor)
    size = os.lseek(descriptor, 0, os.SEEK_END) if kind == "block" else status.st_size
    read, system, locks = _reader(descriptor, size), os.fstatvfs(descriptor), locks_of(descriptor)
    head = read(0, _HEAD)
    return DiskFile(
        path=path,
        kind=kind,
        format=format_,
        identity=identity_of(status),
        rights=rights_of(path, status),
        size=size,
        allocated=size if kind == "block" else status.st_blocks * 512,
        number=f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" if kind == "block" else None,
        content=content_of(size, head, read) if size else None,
        qcow2=parse_qcow2(size, read) if head.startswith(MAGIC) else None,
        read_only=_is_read_only(status) if kind == "block" else bool(system.f_flag & os.ST_RDONLY),
        free=None if kind == "block" else system.f_bavail * system.f_frsize,
        taken=locks.taken,
        refused=locks.refused,
        openers=openers_of(descriptor) if locks != Locks((), ()) else (),
    )


def _boots(descriptor: int, one: DiskFile) -> tuple[Literal["bios", "uefi"], ...] | None:
    """An image that is based on another has its first sectors there until its guest writes them."""
    from launcher.images.boot_sectors import boots_of
    from launcher.images.qcow2_guest import guest_reader

    read = _reader(descriptor, one.size)
    if one.format == "raw":
        return boots_of(read) if one.size else None
    if one.qcow2 is None or one.qcow2.problem or one.qcow2.encrypted or one.qcow2.data_file:
        return None
    guest = guest_reader(one.size, read)
    return boots_of(guest) if guest(0, 1) else None


def _reader(descriptor: int, size: int) -> Callable[[int, int], bytes]:
    def read(offset: int, length: int) -> bytes:
        """A file system of a network may give less at a time than is asked for."""
        pieces: list[bytes] = []
        at, end = offset, min(offset + length, size)
        while at < end and (piece := os.pread(descriptor, end - at, at)):
            pieces.append(piece)
            at += len(piece)
        return b"".join(pieces)

    return read


def _is_read_only(status: os.stat_result) -> bool:
    """The kernel's word for the device, which no mode of a node changes."""
    try:
        with open(f"/sys/dev/block/{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}/ro") as file:
            return file.read(2).startswith("1")
    except OSError:
        return False


def read_folder(path: str) -> Folder | Missing:
    try:
        status = os.stat(path)
        system = os.statvfs(path)
    except OSError as error:
        return missing(error, path)
    except ValueError:
        return Missing("absent", path)
    kind: Literal["directory", "other"] = "directory" if stat.S_ISDIR(status.st_mode) else "other"
    read_only = bool(system.f_flag & os.ST_RDONLY)
    rights = rights_of(path, status)
    return Folder(path, kind, identity_of(status), rights, read_only, above=tuple(_closed(os.path.realpath(path))))


def _closed(path: str) -> Iterator[Rights]:
    """Folders above it that not everybody may pass, the topmost first."""
    names = path.split("/")[1:-1]
    for depth in range(len(names) + 1):
        one = "/" + "/".join(names[:depth])
        with suppress(OSError):  # it is gone by now
            status = os.stat(one)
            if not status.st_mode & stat.S_IXOTH:
                yield rights_of(one, status)


def read_socket(path: str) -> Socket | Missing:
    try:
        status = os.stat(path)
    except OSError as error:
        return missing(error, path)
    except ValueError:
        return Missing("absent", path)
    kind: Literal["socket", "other"] = "socket" if stat.S_ISSOCK(status.st_mode) else "other"
    return Socket(path, kind, rights_of(path, status), identity_of(status))
