"""A program and all that it may have in; a child that runs it, which its keeper watches and ends, out.

Root's keeper gives up its capabilities, and its engines have other uids than it has. So each engine lives in a user
name space that belongs to the uid that the keeper will have: over what lives there its owner may do everything
(user_namespaces(7)), and with that uid the kernel kills the engine, too, when the keeper has died (PR_SET_PDEATHSIG
asks for the rights of the one who died).
"""

from __future__ import annotations

import _socket as socket
import errno
import json
import os
import resource
import select
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from launcher.kernel import confine
from launcher.kernel.api import EngineOrder, Waits
from launcher.kernel.call import check
from launcher.kernel.forked import close_all_but
from launcher.kernel.waiting import poll
from launcher.native import lib
from launcher.signals import signal
from launcher.typed import Any, NoReturn

CLONE_NEWNS, CLONE_NEWUSER = 0x0002_0000, 0x1000_0000  # linux/sched.h
MOST = 4096  # bytes of what a child says of itself before it is the engine
LONGEST = 10.0  # seconds for it to be born, or to take its rights away
TO_FLUSH = 30.0  # seconds for an engine to write what it has in hand, once it was told to end
MOMENT = 5.0  # seconds for one that was killed
MOST_SAID = 4096  # bytes of its last words that are kept
LIMITS = {
    resource.RLIMIT_CORE: 0,
    resource.RLIMIT_NOFILE: 4096,
    resource.RLIMIT_STACK: 8 << 20,  # of each thread: whatever the user has, they fit into the memory that it may have
}


# Of malloc's arenas, which are 64 MiB of addresses each, there would be 8 for each processor.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "MALLOC_ARENA_MAX": "2"}


class Engine:
    """Forked, and waiting for `begin`: until then it has opened nothing and runs nothing but our code.

    `measures` are `on`, or why the kernel refuses them. `status`: os.waitstatus_to_exitcode, once it is reaped.
    """

    def __init__(self, order: EngineOrder, waits: Waits) -> None:
        """OSError: there is no such process, or no user name space, to be had."""
        self.order = order
        self.measures: dict[str, str] = {}
        self.status: int | None = None
        self._said = b""
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.said, says = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)  # at both ends: who talks too much waits for nobody
        try:
            self.pid = _fork(partial(_be, order, theirs, says))
            self.pidfd = os.pidfd_open(self.pid)
        except BaseException:
            self._socket.close()
            os.close(self.said)
            raise
        finally:
            theirs.close()
            os.close(says)
        try:
            self._hear(waits)
            if order.own_name_space:
                _map(self.pid, order)
        except BaseException:
            self.kill()
            raise

    def begin(self, waits: Waits) -> None:
        """OSError: it could not be confined as it has to be, or the program is none."""
        try:
            self._socket.send(b"begin")
            self.measures = self._hear(waits)
            if self._hear(waits) is not None:
                raise OSError(errno.EBADMSG, "it said something unexpected", "execve")
        except OSError:
            self.kill()
            raise
        self._socket.close()

    def _hear(self, waits: Waits) -> Any:
        """What the child says of itself, None: it is the engine from now on."""
        if not waits(self._socket.fileno(), LONGEST, f"{self.name} to begin"):
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), "fork")
        told = self._socket.recv(MOST)
        if not told:
            return None
        answer = json.loads(told)
        if "errno" in answer:
            raise OSError(answer["errno"], answer["why"], answer["call"])
        return answer

    @property
    def name(self) -> str:
        return os.path.basename(self.order.program)

    @property
    def is_gone(self) -> bool:
        return self.status is not None or bool(poll({self.pidfd: select.POLLIN}, 0))

    def listen(self) -> bytes:
        """The end of what it has said so far, on stdout and stderr. It may say a lot: a bounded part of it is read."""
        with suppress(BlockingIOError):
            for _ in range(16 if self.said >= 0 else 0):
                new = os.read(self.said, MOST_SAID)
                if not new:
                    self._hear_no_more()
                    break
                self._said = (self._said + new)[-MOST_SAID:]
        return self._said

    def _hear_no_more(self) -> None:
        """It has closed its streams: who waits for a word of it would be woken for ever."""
        said, self.said = self.said, -1
        if said >= 0:
            os.close(said)

    def end(self, waits: Waits) -> None:
        """In order, then by force. OSError EBUSY: the kernel holds it back."""
        if not self.is_gone:
            self._send(signal.SIGTERM)
            if not waits(self.pidfd, TO_FLUSH, f"{self.name} to write what it has in hand"):
                self._send(signal.SIGKILL)
                if not waits(self.pidfd, MOMENT, f"{self.name} to end"):
                    raise OSError(errno.EBUSY, f"{self.name}, process {self.pid}, does not end")
        self.reap()

    def kill(self) -> None:
        """At once. It is a child that was not reaped, so the pid is its own."""
        self._send(signal.SIGKILL)
        self.reap()

    def reap(self) -> int:
        """It has gone, or goes. What it said last is kept."""
        if self.status is None:
            self.status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            self.listen()
            self._hear_no_more()
            os.close(self.pidfd)
            self.pidfd = -1
            self._socket.close()
        return self.status

    def _send(self, number: int) -> None:
        if self.status is None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self.pidfd, number)


def end_another(pid: int, is_it: Callable[[], bool], name: str, waits: Waits) -> None:
    """An engine whose keeper has died; `is_it` says whether the process of this number is that one still."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if not is_it():
            return
        for number, seconds in ((signal.SIGTERM, TO_FLUSH), (signal.SIGKILL, MOMENT)):
            signal.pidfd_send_signal(pidfd, number)
            if waits(pidfd, seconds, f"{name} to end"):
                return
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)
    raise OSError(errno.EBUSY, f"{name}, process {pid}, does not end")


def _fork(main: Callable[[], NoReturn]) -> int:
    """Without signals until the child has its own: one that comes before would be heard by our handlers there."""
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            main()
        return pid
    except OSError as error:
        raise OSError(error.errno, error.strerror, "fork") from None
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


# -- in the child ------------------------------------------------------------------------------------------------------


def _be(order: EngineOrder, keeper: socket.socket, says: int) -> NoReturn:
    """Whatever goes wrong, it ends, and its keeper hears why."""
    try:
        parent = os.getppid()
        _begin_anew(says, {keeper.fileno(), *order.kept})
        if order.own_name_space:
            _move_out(parent, order)
        keeper.send(b"{}")
        if keeper.recv(MOST):
            _become(order, keeper, parent)
    except OSError as error:
        told = {"errno": error.errno or errno.EIO, "why": error.strerror or str(error), "call": error.filename}
        with suppress(OSError):
            keeper.send(json.dumps(told).encode())
    finally:
        os._exit(1)


def _begin_anew(says: int, kept: set[int]) -> None:
    """Session, streams, signals and descriptors are its own."""
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError):  # two are libc's
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    os.chdir("/")
    os.umask(0o077)
    null = os.open(os.devnull, os.O_RDONLY)
    for stream, given in enumerate((null, says, says)):
        os.dup2(given, stream)
    close_all_but(kept)


def _move_out(keeper: int, order: EngineOrder) -> None:
    """Into a user name space that the keeper's uid to be is the owner of. OSError: the host has none for us."""
    if os.geteuid() == 0:
        if order.mounts:
            _make_readonly(order.mounts[0], order.mounts[0])
        confine.become(confine.OF_RUNNERS + keeper)
        check(lib.kernel_unshare(CLONE_NEWUSER), "unshare")
        return
    check(lib.kernel_unshare(CLONE_NEWUSER | (CLONE_NEWNS if order.mounts else 0)), "unshare")
    if order.mounts:  # what was opened before is of another name space of mounts, and that is not ours to take from
        folder, path = order.mounts
        again = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if not os.path.samestat(os.fstat(again), os.fstat(folder)):
            raise OSError(errno.ESTALE, "it is another folder by now", path)
        _make_readonly(again, folder)


def _make_readonly(given: int, place: int) -> None:
    """`place` becomes a descriptor of the same folder, in a mount of its own."""
    mount = check(lib.kernel_readonly_mount(given), "mount_setattr")
    os.dup2(mount, place, inheritable=False)
    os.close(mount)


def _become(order: EngineOrder, keeper: socket.socket, parent: int) -> NoReturn:
    if order.own_name_space:
        os.setresgid(order.inner_gid, order.inner_gid, order.inner_gid)
        os.setresuid(order.inner_uid, order.inner_uid, order.inner_uid)
    for limit, most in (LIMITS | dict(order.limits)).items():
        hard = resource.getrlimit(limit)[1]
        lower = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(limit, (lower, lower))
    lib.kernel_prctl(lib.PR_SET_PDEATHSIG, signal.SIGKILL)  # behind what changes the uid, which forgets it
    if os.getppid() != parent:
        os._exit(1)
    for one in order.kept:
        os.set_inheritable(one, True)
    measures = confine.confine_engine(order)
    keeper.send(json.dumps(measures).encode())
    try:
        os.execve(order.program, (order.program, *order.words), ENVIRONMENT)
    except OSError as error:
        raise OSError(error.errno, error.strerror, order.program) from None


def _map(pid: int, order: EngineOrder) -> None:
    """By the keeper: who is who in the engine's name space. Nobody else is there."""
    folder = f"/proc/{pid}"
    if os.geteuid() != 0:
        _write(f"{folder}/setgroups", "deny")  # as the kernel wants it of a user
    _write(f"{folder}/uid_map", f"{order.inner_uid} {order.uid} 1")
    _write(f"{folder}/gid_map", f"{order.inner_gid} {order.gid} 1")


def _write(path: str, text: str) -> None:
    file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(file, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(file)
