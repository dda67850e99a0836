"""Nothing in; what this process gave up for good out, by name: `on`, or why the kernel refuses."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Collection
from contextlib import ExitStack, suppress
from functools import partial

from launcher.json_text import import_no_more
from launcher.kernel.call import check
from launcher.native import ffi, lib
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from launcher.kernel.api import EngineOrder, GivenUp

ON = "on"
MEASURES = ("no_new_privs", "own_user", "not_dumpable", "no_capabilities", "landlock", "seccomp")  # of a runner
GIVEN_UP = ("no_new_privs", "own_user", "no_capabilities", "landlock", "seccomp")  # by a keeper
# From each of these on one uid for each VM, by its keeper's pid, which is below 1 << 22. Nobody is there in systemd's
# list of uids.
OF_RUNNERS, OF_KEEPERS, OF_STANDBYS, OF_NETWORKS = 0x7000_0000, 0x7100_0000, 0x7200_0000, 0x7300_0000
CAP_NET_ADMIN = 12  # linux/capability.h
NOBODY = 65534  # where a user name space knows no other


def take_user() -> None:
    """Root's keeper calls this before it forks the runner: by this uid it will know the runner and may end it. A kernel
    that refuses costs the measure only."""
    if os.geteuid() != 0:
        return
    if lib.take_user(OF_RUNNERS + os.getpid()) == -errno.EINVAL:
        lib.take_user(NOBODY)
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    for most in (hard, resource.RLIM_INFINITY):  # it counts for others than root
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NPROC, (most, most))


def user_of_networks() -> int:
    """Whom the user networks of this keeper's VM run as: of root's, a user and a group that no other VM has, so that
    none of them may signal or trace another's. A user name space may know neither that nor nobody."""
    own = (OF_NETWORKS + os.getpid(), NOBODY)
    return next((one for one in own if _is_known(one)), 0) if os.geteuid() == 0 else os.getuid()


def _is_known(number: int) -> bool:
    """To this user name space (user_namespaces(7)): `first` here, what it is outside, `count` of them."""
    return all(
        any(int(first) <= number < int(first) + int(count) for first, _, count in map(str.split, _lines(name)))
        for name in ("uid_map", "gid_map")
    )


def _lines(name: str) -> list[str]:
    with open(f"/proc/self/{name}") as file:
        return file.readlines()


def confine(*, virtio: bool = False) -> dict[str, str]:
    """`virtio`: it talks with engines.

    A runner calls this before it has other threads: each measure but seccomp holds for one thread and those that it
    starts."""
    return _take(
        {  # a change of user makes it dumpable or not as it likes; seccomp allows none of these calls
            "no_new_privs": partial(lib.kernel_prctl, lib.PR_SET_NO_NEW_PRIVS, 1),
            "own_user": lambda: _leave_root(_own_user(), _own_user(), files=False),
            "not_dumpable": partial(lib.kernel_prctl, lib.PR_SET_DUMPABLE, 0),
            "no_capabilities": partial(lib.confine_capabilities, 0, 0),
            "landlock": partial(lib.confine_files, -1, ffi.NULL, 0),
            "seccomp": partial(lib.confine_calls, virtio),
        }
    )


def confine_vcpu(*, devices: bool, virtio: bool = False) -> None:
    """The calling thread of a confined process loses more calls. OSError: it is not confined."""
    check(lib.confine_vcpu(devices, virtio), "seccomp")


def become(own: int) -> None:
    """Root's child calls this: it is this user and keeps its capabilities. Where there is no such user it is nobody;
    where nobody is there either it stays who it is, as its keeper will."""
    for user in (own, NOBODY):
        result = lib.confine_user(user, user, False)
        if result != -errno.EINVAL:
            check(result, "setresuid")
            return


_CALLS: dict[str, Callable[[], int]] = {
    "disks": lib.confine_disk_engine,
    "share": partial(lib.confine_share_engine, False),
    "share, read-only": partial(lib.confine_share_engine, True),
}


def confine_engine(order: EngineOrder) -> dict[str, str]:
    """What is to be an engine calls this before it executes its program."""
    kept = sum(1 << one for one in order.capabilities)
    measures: dict[str, Callable[[], int]] = {
        "no_new_privs": partial(lib.kernel_prctl, lib.PR_SET_NO_NEW_PRIVS, 1),
        "no_capabilities": partial(lib.confine_capabilities, kept, kept),
    }
    if not order.own_sandbox:
        measures["landlock"] = partial(_keep_places, order)
    if order.seccomp:
        measures["seccomp"] = _CALLS[order.seccomp]
    return _take(measures)


# What programs read of a host beside what they serve: their libraries, what these look for, nothing of a user.
LIBRARIES = (
    *("/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/libx32", "/usr/local/lib", "/lib", "/lib64", "/nix/store"),
    *("/gnu/store", "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/usr/share/zoneinfo"),
    *("/sys/devices/system", "/sys/dev/block", "/sys/devices/virtual/block", "/proc/sys/fs", "/proc/self"),
)
INTERPRETER = "/lib64/ld-linux-x86-64.so.2"  # of the x86-64 ABI: what the kernel executes in place of a program


def _keep_places(order: EngineOrder) -> int:
    executed = [os.path.realpath(one) for one in (order.program, INTERPRETER)]
    try:
        with ExitStack() as stack:
            places = [(one, lib.PLACE_WRITTEN) for one in order.written]
            places += [(one, lib.PLACE_READ) for one in order.read]
            named = [*((one, lib.PLACE_EXECUTED) for one in executed), *((one, lib.PLACE_READ) for one in LIBRARIES)]
            for path, kind in (*named, (os.devnull, lib.PLACE_WRITTEN)):
                with suppress(FileNotFoundError):
                    places.append((_open(path, stack), kind))
            return int(lib.confine_places(ffi.new("struct place[]", places), len(places)))
    except OSError as error:
        return -(error.errno or errno.EIO)


def give_up(folder: str, files: Collection[str], runner: int, pidfds: Collection[int]) -> GivenUp:
    """A keeper calls this. It keeps this folder and those of these files that are there, and may end its runner and its
    engines, whose `pidfds` these are."""
    from launcher.kernel.api import GivenUp  # who asks what there is to give up does without it

    user = _own_user()
    own = OF_KEEPERS + user - OF_RUNNERS if user >= OF_RUNNERS else user
    places = tuple(os.path.realpath(one) for one in files)
    measures = _take(
        {
            "no_new_privs": partial(lib.kernel_prctl, lib.PR_SET_NO_NEW_PRIVS, 1),
            "own_user": lambda: _leave_root(own, user, files=True),
            "no_capabilities": partial(lib.confine_capabilities, 0, 0),
            "landlock": partial(_keep_files, folder, places),
            "seccomp": lambda: _keep_calls(runner, pidfds, bool(files)),
        }
    )
    return GivenUp(measures, (str(folder), *places) if measures["landlock"] == ON else ("/",))


def stand_by() -> dict[str, str]:
    """A child of a keeper that has `take_user` behind it calls this. It keeps CAP_NET_ADMIN, and the sockets that are
    open; nobody but root may send it a signal."""
    user = _own_user()
    own = OF_STANDBYS + user - OF_RUNNERS if user >= OF_RUNNERS else user
    return _take(
        {
            "no_new_privs": partial(lib.kernel_prctl, lib.PR_SET_NO_NEW_PRIVS, 1),
            "own_user": lambda: _leave_root(own, own, files=False),
            "not_dumpable": partial(lib.kernel_prctl, lib.PR_SET_DUMPABLE, 0),
            "no_capabilities": partial(lib.confine_capabilities, 1 << CAP_NET_ADMIN, 0),
            "landlock": partial(lib.confine_files, -1, ffi.NULL, 0),
            "seccomp": lib.confine_standby,
        }
    )


def _take(measures: dict[str, Callable[[], int]]) -> dict[str, str]:
    import_no_more()
    results = {name: measure() for name, measure in measures.items()}
    return {name: os.strerror(-result) if result < 0 else ON for name, result in results.items()}


def _own_user() -> int:
    """The uid that `take_user` took; where it took none, one that is this process's own."""
    return os.getuid() or OF_RUNNERS + os.getpid()


def _leave_root(real: int, effective: int, *, files: bool) -> int:
    """With `files` the process still opens files as root."""
    return int(lib.confine_user(real, effective, files)) if os.geteuid() == 0 else 0


def _keep_files(folder: str, files: Collection[str]) -> int:
    try:
        with ExitStack() as stack:
            opened = [_open(folder, stack)]
            for one in files:
                with suppress(FileNotFoundError):  # its driver has gone
                    opened.append(_open(one, stack))
            return int(lib.confine_files(opened[0], opened[1:], len(opened) - 1))
    except OSError as error:
        return -(error.errno or errno.EIO)


def _open(path: str, stack: ExitStack) -> int:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    stack.callback(os.close, descriptor)
    return descriptor


def _keep_calls(runner: int, pidfds: Collection[int], forks: bool) -> int:
    """A keeper whose uid other processes have (root, a user) may send signals to its runner and its children only."""
    by_user = os.getuid() >= OF_RUNNERS or forks
    return int(lib.confine_keeper(0 if by_user else runner, list(pidfds), len(pidfds)))
