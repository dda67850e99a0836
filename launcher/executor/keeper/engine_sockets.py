"""The folder of a VM, or the path of somebody's socket, in; a socket to an engine that answers there out.

An engine of ours gets a listening socket that is connected to already: its name is gone before it starts.
"""

from __future__ import annotations

import _socket as socket
import errno
import os
import stat
import struct
from contextlib import closing, suppress
from time import monotonic

from launcher.kernel.api import Waits
from launcher.vms.folder_state import ENGINE

LONGEST = 30.0  # seconds for an engine to start and to answer
_HEAD, _FEATURES = struct.Struct("<III"), struct.Struct("<Q")
_GET_FEATURES, _VERSION, _REPLY = 1, 1, 4  # vhost-user (docs/interop/vhost-user.rst of QEMU)


def listening_pair(folder: int) -> tuple[socket.socket, socket.socket]:
    """A socket for the engine to listen at, and the end of its one client, by a name in this folder for a moment."""
    path, listening = f"/proc/self/fd/{folder}/{ENGINE}", socket.socket(socket.AF_UNIX)
    try:
        with_name(folder, path, listening)
        return listening, _connected(path)
    except BaseException:
        listening.close()
        raise
    finally:
        _discard(folder)


def with_name(folder: int, path: str, listening: socket.socket) -> None:
    _discard(folder)
    listening.bind(path)
    listening.listen(1)


def _discard(folder: int) -> None:
    with suppress(FileNotFoundError):
        os.unlink(ENGINE, dir_fd=folder)


def _connected(path: str) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    try:
        client.setblocking(False)  # a socket with a path is connected at once, or is not to be had
        client.connect(path)
        client.setblocking(True)
    except BaseException:
        client.close()
        raise
    return client


def connect(path: str, identity: str) -> socket.socket:
    """ESTALE: it is another one than planned; ENOTSOCK: it is no socket; ECONNREFUSED: nobody listens; EAGAIN: nobody
    takes who comes."""
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        status = os.fstat(place)
        if not stat.S_ISSOCK(status.st_mode):
            raise OSError(errno.ENOTSOCK, "it is no socket", path)
        if f"{status.st_dev}:{status.st_ino}" != identity:
            raise OSError(errno.ESTALE, "it is another socket than when it was planned", path)
        return _connected(f"/proc/self/fd/{place}")
    except BlockingIOError:
        raise OSError(errno.EAGAIN, "as many as may wait there for its engine, which takes nobody", path) from None
    finally:
        os.close(place)


def await_answer(end: socket.socket, waits: Waits, who: str) -> None:
    """OSError: nobody there speaks vhost-user. What is asked can be asked again, and changes nothing."""
    try:
        _ask(end, waits, who)
    except ConnectionError:  # EPIPE, ECONNRESET, or the end of what it had to say
        raise ConnectionResetError(errno.ECONNRESET, "it hung up") from None


def _ask(end: socket.socket, waits: Waits, who: str) -> None:
    end.send(_HEAD.pack(_GET_FEATURES, _VERSION, 0))
    head = _received(end, _HEAD.size, waits, who)
    if _HEAD.unpack(head) != (_GET_FEATURES, _VERSION | _REPLY, _FEATURES.size):
        raise OSError(errno.EPROTO, f"its answer is not vhost-user: {head.hex()}")
    _received(end, _FEATURES.size, waits, who)


def _received(end: socket.socket, size: int, waits: Waits, who: str) -> bytes:
    """All of it, and not a byte more: what is left would be taken for the answer to the runner's first question."""
    answer, last = b"", monotonic() + LONGEST
    while len(answer) < size:
        if not waits(end.fileno(), max(last - monotonic(), 0), f"{who} to answer"):
            raise TimeoutError(errno.ETIMEDOUT, f"no answer within {LONGEST:g} s")
        new = end.recv(size - len(answer), socket.MSG_DONTWAIT)
        if not new:
            raise ConnectionResetError
        answer += new
    return answer


def keep(ends: dict[str, int], alias: str, end: socket.socket) -> None:
    """For the runner. It waits for nothing by itself: the runner has limits of its own."""
    with closing(end):
        ends[alias] = os.dup(end.fileno())
