"""Identities of images in; locks on them out: who writes one has it alone, those that only read it have it together.

Engines lock images as well, but two that write one raw image do not refuse each other, and two VMs of this user may
start in the same moment. One file, which is never removed, has a byte for each image: no lock outlives who holds it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from collections.abc import Mapping

from launcher.digests import sha256
from launcher.typed import TYPE_CHECKING
from launcher.vms.way import open_own, open_way

if TYPE_CHECKING:
    from launcher.vms.way import StrPath

LOCKS = ".images"  # beside the state folders: no VM has such a name
_FLOCK = struct.Struct("hhqqi4x")
_SETLK = 37  # F_OFD_SETLK (asm-generic/fcntl.h); fcntl has no name for it
_LAST = (1 << 62) - 1


class ImageTaken(OSError):
    """A live VM holds a lock of it."""

    def __init__(self, identity: str) -> None:
        super().__init__(f"image {identity} is taken")
        self.identity = identity


def lock_images(images: Mapping[str, bool], root: StrPath) -> tuple[int, ...]:
    """Identity -> whether it is written, in; a descriptor that holds the locks as long as a copy of it is open, out.
    `root` is that of the state folders.

    ImageTaken, or another OSError: none is held. Without images there is nothing to hold.
    """
    if not images:
        return ()
    file = _open(root)
    try:
        for identity, is_written in images.items():
            _lock(file, identity, fcntl.F_WRLCK if is_written else fcntl.F_RDLCK)
    except BaseException:
        os.close(file)
        raise
    return (file,)


def _open(root: StrPath) -> int:
    above = open_way(os.path.join(root, LOCKS), make=True)
    try:
        folder = open_own(above, ".", os.path.join(root, LOCKS))
    finally:
        os.close(above)
    try:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        return os.open("locks", flags, 0o600, dir_fd=folder)
    finally:
        os.close(folder)


def _lock(file: int, identity: str, kind: int) -> None:
    try:
        fcntl.fcntl(file, _SETLK, _FLOCK.pack(kind, os.SEEK_SET, _byte_of(identity), 1, 0))
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES):
            raise ImageTaken(identity) from None
        raise


def _byte_of(identity: str) -> int:
    return int(sha256(identity.encode(errors="surrogatepass"))[:16], 16) & _LAST
