"""A step OpenVariables in; the file of a firmware's variables, locked, for the runner out.

The file stays when the VM ends, as a disk's image does. One that is made appears under its name as a whole.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from contextlib import ExitStack

from launcher.digests import sha256
from launcher.errors import Diagnostic, StepFailed
from launcher.kernel.api import Kernel
from launcher.plan.firmware import OpenVariables
from launcher.refusals import cause, way_out
from launcher.vms.way import read_whole

_FLOCK = struct.Struct("hhqqi4x")
_SETLK = 37  # F_OFD_SETLK (asm-generic/fcntl.h); fcntl has no name for it
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
MODE = 0o600
NO_TMPFILE = (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL)

HELP = {
    errno.EAGAIN: "another VM has it: each has a file of its own",
    errno.EEXIST: "it was made since the plan was: plan again",
    errno.ENOENT: "its folder has to be there; a file that has gone since the plan was made: plan again",
    errno.ESTALE: "it is another file than when the plan was made: plan again",
}


def open_variables(step: OpenVariables, kernel: Kernel) -> None:
    """StepFailed: it is not the file that was planned, somebody has it, or it cannot be made."""
    with ExitStack() as stack:
        try:
            file = _opened(step) if step.identity else _made(step)
            stack.callback(os.close, file)
            _check(file, step)
            _lock(file, step.path)
        except OSError as error:
            raise _failed(step, error) from None
        stack.pop_all()
    kernel.keep_variables(file)


def _failed(step: OpenVariables, error: OSError) -> StepFailed:
    known = HELP.get(error.errno or 0)
    return StepFailed(
        Diagnostic("E568", f"failed to {step.describe()}: {cause(error)}", help=(known,) if known else way_out(error))
    )


def _opened(step: OpenVariables) -> int:
    """Also behind a link: it is the file that counts, and none but a regular one is opened, which could do something by
    that."""
    looked = os.open(step.path, os.O_PATH | os.O_CLOEXEC)
    try:
        _check(looked, step)
        return os.open(f"/proc/self/fd/{looked}", _WRITE)
    finally:
        os.close(looked)


def _made(step: OpenVariables) -> int:
    """Nobody sees a part of it, whenever power is lost: it has no name before it is written and on the disk."""
    content = _template(step)
    folder = os.open(os.path.dirname(step.path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with ExitStack() as stack:
            file, named = _without_name(folder, stack)
            stack.callback(os.close, file)
            os.pwrite(file, content, 0)
            os.fsync(file)
            os.link(named, os.path.basename(step.path), src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
            os.fsync(folder)
            return os.dup(file)
    finally:
        os.close(folder)


def _without_name(folder: int, stack: ExitStack) -> tuple[int, str]:
    """A new file, and what it is called until it has its name; `stack` takes that away. Some file systems have no files
    without one (O_TMPFILE): there it is a draft that nobody else knows."""
    try:
        file = os.open(".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, MODE, dir_fd=folder)
    except OSError as error:
        if error.errno not in NO_TMPFILE:
            raise
    else:
        return file, f"/proc/self/fd/{file}"
    draft = f".vmlaunch-{os.urandom(8).hex()}"
    file = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, MODE, dir_fd=folder)
    stack.callback(os.unlink, draft, dir_fd=folder)
    return file, draft


def _template(step: OpenVariables) -> bytes:
    file = os.open(step.template, _READ)
    try:
        content = read_whole(file, step.size + 1)
    finally:
        os.close(file)
    if len(content) != step.size or sha256(content) != step.template_sha256:
        raise OSError(errno.ESTALE, "it has changed since the plan was made", step.template)
    return content


def _check(file: int, step: OpenVariables) -> None:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", step.path)
    if step.identity and f"{status.st_dev}:{status.st_ino}" != step.identity:
        raise OSError(errno.ESTALE, "it is another file now", step.path)
    if status.st_size != step.size:
        raise OSError(errno.ESTALE, f"it has {status.st_size} bytes, and this firmware's have {step.size}", step.path)


def _lock(file: int, path: str) -> None:
    """All of it, for as long as anybody has it open by this description: keeper, then runner. QEMU takes locks of the
    same kind. EAGAIN: somebody has it."""
    try:
        fcntl.fcntl(file, _SETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
        raise OSError(errno.EAGAIN, "somebody has it locked", path) from None
