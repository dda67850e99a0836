"""Changes of virtual functions that are to be made when the runner has gone, in; a process that can make these then,
and nothing else, out.

The kernel asks for CAP_NET_ADMIN of who opened the socket and of who sends (netlink_capable), so a keeper that has
given up its capabilities cannot set back what it has set. This child of it can: it has one capability, a socket to
rtnetlink and one to the keeper, whose only word is the number of a change. It is asked for each once, after the runner;
then it ends, as it does when the keeper has gone: `down` does it then.
"""

from __future__ import annotations

import _socket as socket
import errno
import os
import select
from collections.abc import Sequence
from contextlib import closing

from launcher.json_text import dumps, loads
from launcher.kernel import confine
from launcher.kernel.api import VfChange, VfPlace, Waits
from launcher.kernel.forked import close_all_but
from launcher.kernel.virtual_functions import Link, VirtualFunctions, make
from launcher.kernel.waiting import ignore_stops, poll, wait_for
from launcher.typed import Any, NoReturn
from launcher.values import LABELS, PATIENCE, VfSettings

MOST = 4096  # bytes of an answer
LONGEST = 2.0 * PATIENCE  # seconds for one: the kernel's lock of interfaces may be somebody else's


class Standby:
    """VirtualFunctions of a keeper that has given up what they take. `measures` are those of confine.stand_by."""

    def __init__(self, changes: Sequence[VfChange], pidfd: int, functions: VirtualFunctions, waits: Waits) -> None:
        """OSError: there is no such process to be had, or an interface is not there any more."""
        self._changes = list(changes)
        self._waits: Waits = wait_for  # at first: a stop that is heard now would come between two rights given up
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with closing(theirs):
            try:
                self.pid = os.fork()
            except OSError as error:
                self._socket.close()
                raise OSError(error.errno, error.strerror, "fork") from None
            if self.pid == 0:
                _be(theirs, self._changes, pidfd, functions)
        self.measures: dict[str, str] = self._answer("another process to be confined")
        self._waits = waits

    def settings(self, place: VfPlace) -> VfSettings:
        raise OSError(errno.EPERM, f"what {place.address} has is not looked at any more", "RTM_GETLINK")

    def change(self, change: VfChange) -> tuple[str, ...]:
        """EPERM: one that was not promised. EPIPE: it has gone."""
        if change not in self._changes:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM), "RTM_SETLINK")
        self._socket.send(bytes([self._changes.index(change)]))
        left = self._answer("rtnetlink to set a virtual function back")
        return tuple(name for name in LABELS if name in left)

    def _answer(self, whom: str) -> Any:
        if not self._waits(self._socket.fileno(), LONGEST, whom):
            raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), "RTM_SETLINK")
        told = self._socket.recv(MOST)
        if not told:
            raise OSError(errno.EPIPE, "the process that would do it has gone", "RTM_SETLINK")
        answer = loads(told)
        if isinstance(answer, list):
            return answer
        if "errno" in answer:
            raise OSError(answer["errno"], answer["why"], "RTM_SETLINK")
        return answer


def _be(keeper: socket.socket, changes: list[VfChange], pidfd: int, functions: VirtualFunctions) -> NoReturn:
    """In the child. Whatever goes wrong, it ends, and its keeper hears the end of the socket."""
    status = 1
    try:
        ignore_stops()
        link = functions.connect()
        close_all_but({keeper.fileno(), pidfd, link.fileno()})
        try:
            indexes = [functions.interface(one.place, link) for one in changes]
            _tell(keeper, confine.stand_by())
        except OSError as error:
            _tell(keeper, _refusal(error))
        else:
            _serve(keeper, changes, indexes, pidfd, link)
        status = 0
    finally:
        os._exit(status)


def _serve(keeper: socket.socket, changes: list[VfChange], indexes: list[int], pidfd: int, link: Link) -> None:
    """Each of them once. A keeper that asks before its runner has gone is not believed any more."""
    waiting = set(range(len(changes)))
    while waiting and (asked := keeper.recv(2)):
        if asked[0] not in waiting or not poll({pidfd: select.POLLIN}, 0):
            return
        waiting.remove(asked[0])
        try:
            _tell(keeper, make(link, indexes[asked[0]], changes[asked[0]]))
        except OSError as error:
            _tell(keeper, _refusal(error))


def _refusal(error: OSError) -> dict[str, object]:
    return {"errno": error.errno or errno.EIO, "why": error.strerror or str(error)}


def _tell(keeper: socket.socket, answer: object) -> None:
    keeper.send(dumps(answer).encode())
