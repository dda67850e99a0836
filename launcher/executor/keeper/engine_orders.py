"""A step that starts an engine in; its program, words, user, and all that it may have, out. Descriptors are open."""

from __future__ import annotations

import _socket as socket
import fcntl
import os
import resource
import stat
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.keeper import engine_sockets
from launcher.executor.keeper.engine_limits import memory_limits
from launcher.executor.keeper.engine_words import OPENED, OpenDisk, OpenImage, disk_words, network_words, share_words
from launcher.kernel.api import EngineOrder, Kernel
from launcher.kernel.confine import user_of_networks
from launcher.plan.seed import StartSeedEngine
from launcher.plan.step import Step
from launcher.plan.virtio import Image, ServedDisk, StartDiskEngine, StartShareEngine, StartUserNetwork
from launcher.typed import Any

# virtiofsd has each file open, if only by its path, that its guest knows of; this is its own default.
OPEN_BY_SHARES = 1_000_000
OUR_BYTE = 1000  # of an image: who has it locked to write is alone. QEMU's are from 100 and from 200 on
# CAP_CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, MKNOD, SETFCAP: what virtiofsd has in a name space where all
# files are one user's, and SETPCAP, to drop all others. The one in C also changes its root (SYS_CHROOT).
OF_SHARES, TO_CHROOT = (0, 1, 3, 4, 6, 7, 8, 27, 31), (18,)


def order_of(step: Step, kernel: Kernel, stack: ExitStack) -> EngineOrder:
    """What is opened for the engine `stack` closes, `kernel.ends` keeps the runner's ends. OSError, StepFailed."""
    return _ORDERS[type(step)](step, kernel, stack)


def _disks(step: StartDiskEngine, kernel: Kernel, stack: ExitStack) -> EngineOrder:
    disks = tuple(_disk(one, kernel, stack) for one in step.disks)
    images = [(image, one) for disk in disks for image, one in zip(disk.disk.images, disk.images, strict=True)]
    written = tuple(disk.images[0].fd for disk in disks if not disk.disk.readonly)
    return EngineOrder(
        aliases=tuple(one.alias for one in step.disks),
        program=step.program,
        words=disk_words(disks),
        kept=(*_inherited(disks), *(disk.listening for disk in disks)),
        uid=step.uid,
        gid=step.gid,
        inner_uid=step.uid,
        inner_gid=step.gid,
        own_name_space=os.geteuid() == 0,
        written=written,
        read=tuple(one.fd for _, one in images if one.fd not in written),
        limits=memory_limits(step),
        seccomp="disks",
        names=tuple((one.fd, image.path) for image, one in images),
    )


def _inherited(disks: tuple[OpenDisk, ...]) -> Iterator[int]:
    for image in (one for disk in disks for one in disk.images):
        yield image.fd
        if image.lock is not None:
            yield image.lock


def _disk(disk: ServedDisk, kernel: Kernel, stack: ExitStack) -> OpenDisk:
    images = tuple(_image(one, stack, written=n == 0 and not disk.readonly) for n, one in enumerate(disk.images))
    return OpenDisk(disk, images, _listening(disk.alias, kernel, stack))


def _listening(alias: str, kernel: Kernel, stack: ExitStack) -> int:
    listening, client = engine_sockets.listening_pair(kernel.folder)
    engine_sockets.keep(kernel.ends, alias, client)
    return stack.enter_context(closing(listening)).fileno()


def _image(image: Image, stack: ExitStack, *, written: bool) -> OpenImage:
    fd, mode = _open(image.path, image.identity, stack)
    if not (stat.S_ISREG(mode) or stat.S_ISBLK(mode)):
        raise _another(image.path, "is no file and no block device")
    return OpenImage(fd, stat.S_ISBLK(mode), _takes_direct(fd), _lock(image.path, fd, stack, written=written))


def _open(path: str, identity: str, stack: ExitStack) -> tuple[int, int]:
    """Without any right to what is in it: the engine opens it again, as the user that it is."""
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    status = os.fstat(fd)
    if f"{status.st_dev}:{status.st_ino}" != identity:
        raise _another(path, "is another file than when it was planned")
    return fd, status.st_mode


def _another(path: str, fact: str) -> StepFailed:
    return StepFailed(Diagnostic("E563", f"{path} {fact}", help=("plan again",)))


def _takes_direct(fd: int) -> bool:
    with suppress(OSError):  # EINVAL: its file system does not; or it is not ours to read
        os.close(os.open(OPENED.format(fd), os.O_RDONLY | os.O_DIRECT | os.O_NONBLOCK | os.O_CLOEXEC))
        return True
    return False


def _lock(path: str, fd: int, stack: ExitStack, *, written: bool) -> int | None:
    """A descriptor that the engine keeps: it holds a lock as long as that lives. StepFailed: another VM has the image.

    qemu-storage-daemon has locks that keep QEMU away, but two exports of two daemons share what they write (QEMU's
    block/export/export.c). None: it is not ours to open, as on NFS, or its file system has no locks.
    """
    try:
        lock = os.open(OPENED.format(fd), (os.O_RDWR if written else os.O_RDONLY) | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    stack.callback(os.close, lock)
    try:
        kind = fcntl.F_WRLCK if written else fcntl.F_RDLCK
        fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", kind, os.SEEK_SET, OUR_BYTE, 1, 0))
    except (BlockingIOError, PermissionError):
        fact = f"another VM {'has' if written else 'writes to'} {path}"
        raise StepFailed(Diagnostic("E567", fact, help=("`vmlaunch ps` names those that are up",))) from None
    except OSError:
        return None
    return lock


def _share(step: StartShareEngine, kernel: Kernel, stack: ExitStack) -> EngineOrder:
    fd, mode = _open(step.path, step.identity, stack)
    if not stat.S_ISDIR(mode):
        raise _another(step.path, "is no folder")
    listening = _listening(step.alias, kernel, stack)
    in_c = step.kind == "c"
    return EngineOrder(
        aliases=(step.alias,),
        program=step.program,
        words=share_words(step.kind, f"{OPENED.format(fd)}/.", listening, readonly=step.readonly),
        kept=(fd, listening),
        uid=step.uid,
        gid=step.gid,
        inner_uid=0,
        inner_gid=0,
        own_name_space=True,
        written=() if step.readonly else (fd,),
        read=(fd,) if step.readonly else (),
        limits=(*memory_limits(step), (resource.RLIMIT_NOFILE, OPEN_BY_SHARES)),
        seccomp="share, read-only" if step.readonly else "share",
        capabilities=OF_SHARES + TO_CHROOT if in_c else OF_SHARES,
        mounts=(fd, step.path) if in_c and step.readonly else None,
        names=((fd, step.path),),
    )


def _network(step: StartUserNetwork, kernel: Kernel, stack: ExitStack) -> EngineOrder:
    """It takes a connected socket, and shuts itself in by mounts, which nobody below Landlock may make."""
    mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    stack.enter_context(closing(theirs))
    engine_sockets.keep(kernel.ends, step.alias, mine)
    uid = user_of_networks() if step.uid is None else step.uid
    gid = uid if step.gid is None else step.gid
    return EngineOrder(
        aliases=(step.alias,),
        program=step.program,
        words=network_words(theirs.fileno()),
        kept=(theirs.fileno(),),
        uid=uid,
        gid=gid,
        inner_uid=uid,
        inner_gid=gid,
        own_name_space=os.geteuid() == 0,
        limits=(*memory_limits(step), (resource.RLIMIT_FSIZE, 0)),
        own_sandbox=True,
    )


def _seed(step: StartSeedEngine, kernel: Kernel, stack: ExitStack) -> EngineOrder:
    """Landlock knows no files in memory, and keeps nobody from one that it has by a descriptor."""
    from launcher.executor.keeper.seed import made_in_memory

    fd = made_in_memory(step, stack)
    disk = ServedDisk(step.alias, (Image(step.alias, "raw", ""),), readonly=True, discard=False, queues=1)
    opened = OpenDisk(disk, (OpenImage(fd, is_device=False, direct=False),), _listening(step.alias, kernel, stack))
    return EngineOrder(
        aliases=(step.alias,),
        program=step.program,
        words=disk_words((opened,)),
        kept=(fd, opened.listening),
        uid=step.uid,
        gid=step.gid,
        inner_uid=step.uid,
        inner_gid=step.gid,
        own_name_space=os.geteuid() == 0,
        limits=memory_limits(step),
        seccomp="disks",
        names=((fd, step.alias),),
    )


_ORDERS: dict[type[Step], Callable[[Any, Kernel, ExitStack], EngineOrder]] = {
    StartDiskEngine: _disks,
    StartShareEngine: _share,
    StartUserNetwork: _network,
    StartSeedEngine: _seed,
}
