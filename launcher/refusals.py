"""An exception in; what the host refused out, as an OSError and in words with a way out. None: a bug of ours. Pure."""

from __future__ import annotations

import errno

from launcher.errors import Diagnostic

# What a call answers to somebody who holds it wrong. All else is the host's word: a limit, a full disk, a policy.
MISUSED = {errno.EBADF, errno.EFAULT, errno.EINVAL, errno.ENOTSOCK, errno.EDOM, errno.ERANGE, None}
NO_THREAD = "can't start new thread"  # CPython's word for a refused pthread_create
NO_MEMORY = "error return without exception set"  # CPython 3.11's, when it has none for the frame of a call
UNLOADED = ("cannot open shared object file", "failed to map segment", "cannot allocate memory")  # ld.so's

TASKS = "`ulimit -u` has the limit of processes and threads, TasksMax= that of a service, pids.max that of a container"
WAYS = {
    errno.EAGAIN: TASKS,
    errno.EMFILE: "`ulimit -n` has the limit of open files, LimitNOFILE= that of a service",
    errno.ENFILE: "`sysctl fs.file-max` has the limit of open files of the whole host",
    errno.ENOMEM: "`free -m` shows what is left; `ulimit -v` and the cgroup's memory.max are limits",
    errno.ENOSPC: "`df` and `df -i` show which file system is full",
    errno.EDQUOT: "`quota` shows what this user may still write",
    errno.EROFS: "`findmnt -o TARGET,OPTIONS` shows what is mounted read-only",
}
# VFIO's and iommufd's, in whose names is what they count against.
PINNING = ("VFIO_IOMMU_MAP_DMA", "IOMMU_IOAS_MAP", "VFIO_DEVICE_ATTACH_IOMMUFD_PT")
# What Python makes of a call that was refused; each can be a bug, too.
REFUSALS = (OSError, MemoryError, RuntimeError, ImportError, SystemError)


def refusal_of(error: BaseException) -> OSError | None:
    """None: it is none."""
    if isinstance(error, OSError):
        return None if error.errno in MISUSED else error
    if isinstance(error, MemoryError) or (isinstance(error, SystemError) and str(error) == NO_MEMORY):
        return OSError(errno.ENOMEM, "Cannot allocate memory", str(error) if isinstance(error, MemoryError) else None)
    if isinstance(error, RuntimeError) and str(error) == NO_THREAD:
        return OSError(errno.EAGAIN, "Resource temporarily unavailable", "pthread_create")
    if isinstance(error, ImportError) and any(word in str(error) for word in UNLOADED):
        return OSError(errno.ENOMEM, str(error))
    return None


def cause(error: OSError) -> str:
    """The kernel's word and, where it is known, the call or the file."""
    return f"{error.strerror or error}{f' ({error.filename})' if error.filename else ''}"


def way_out(error: OSError) -> tuple[str, ...]:
    """EAGAIN is of a fork or a thread; of an ioctl it can be anything. What maps memory for DMA locks it."""
    if error.errno == errno.ENOMEM and error.filename in PINNING:
        return ("`ulimit -l` has the limit of locked memory, LimitMEMLOCK= that of a service",)
    known = error.errno != errno.EAGAIN or error.filename in ("fork", "pthread_create", "KVM_RUN")
    return (WAYS[error.errno],) if known and error.errno in WAYS else ()


def in_words(what: str, error: OSError) -> Diagnostic:
    """`what` is what we failed to do."""
    return Diagnostic("E552", f"failed to {what}: {cause(error)}", help=way_out(error))
