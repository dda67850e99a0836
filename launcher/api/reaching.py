"""The state folder of a VM in; its keeper's answer to an order, and whether and by whom the VM is held, out."""

from __future__ import annotations

import errno
import select
from time import monotonic, sleep

from launcher.errors import Diagnostic, Refused
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from launcher.vms.channel import Channel, Packet
    from launcher.vms.orders import Order

PATIENCE, MOMENT, SECOND = 10.0, 0.05, 1.0  # for a keeper to answer; between two looks, later
FAREWELL = 600.0  # seconds for a runner whose keeper has died: it unpins all memory of its guest and resets devices
# No socket yet or any more, so many at its door that we would have to wait; all others are a refusal of the host.
OUT_OF_PLACE = {errno.ENOENT, errno.EAGAIN, errno.ECONNRESET}


class Waiting:
    """`whom` is asked each time anew; `limit`, in seconds from now, may change. Tells nobody: who does inherits it."""

    def __init__(self, limit: float, whom: Callable[[], str]) -> None:
        self.limit, self.whom = limit, whom
        self._began = monotonic()

    @property
    def waited(self) -> float:
        return monotonic() - self._began

    def go_on(self) -> bool:
        """To be asked again and again. False: the time is over."""
        return self.waited < self.limit

    def __enter__(self) -> Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Answer(NamedTuple):
    """`first` is what the keeper answered."""

    channel: Channel
    first: Packet


def ask(path: Path, *orders: Order, farewell: float = PATIENCE, waiting_as: type[Waiting] = Waiting) -> Answer | None:
    """Say `orders`, the last of which has an answer, until the keeper gives it. None: the VM is not up.

    A keeper that has just begun, or is about to go, has no socket for a moment; one whose house is full has no place.
    `farewell`: seconds that a runner has to go whose keeper has died.
    """
    from launcher.vms.looking import is_up

    with waiting_as(PATIENCE, lambda: _who_answers(path)) as waiting:
        while is_up(path):
            try:
                if (answer := _try(path, orders, waiting)) is not None:
                    return answer
            except ConnectionRefusedError:
                if waiting.limit < farewell and waiting.waited >= PATIENCE / 2 and _all_go_on(path):
                    waiting.limit = farewell
            if not waiting.go_on():
                raise silent(path)
            sleep(MOMENT if waiting.waited < PATIENCE else SECOND)
    return None


def _try(path: Path, orders: Sequence[Order], waiting: Waiting) -> Answer | None:
    """None: not now. ConnectionRefusedError: nobody listens there."""
    from launcher.vms.channel import Channel, Closed
    from launcher.vms.folder_state import SOCKET
    from launcher.vms.notices import is_answer
    from launcher.vms.orders import order

    try:
        channel = Channel.connect(path / SOCKET)
    except ConnectionRefusedError:
        raise
    except OSError as error:
        if error.errno in OUT_OF_PLACE:
            return None
        raise
    try:
        for one in orders:
            channel.send(order(one))
        while waiting.go_on():
            if (
                select.select([channel], [], [], MOMENT)[0]
                and (packet := channel.receive())
                and is_answer(packet.message or {}, orders[-1])
            ):
                return Answer(channel, packet)
    except Closed:
        pass
    channel.close()
    return None


def wait_for_end(
    path: Path, limit: float, whom: Callable[[], str] | None = None, waiting_as: type[Waiting] = Waiting
) -> None:
    """Until nobody holds the VM's name any more; Refused after `limit` seconds."""
    from launcher.vms.looking import wait_until_down

    with waiting_as(limit, whom or (lambda: f"{path.name} to go: {held_by(path)}")) as waiting:
        if not wait_until_down(path, waiting.go_on):
            raise Refused(still_there(path, limit))


def still_there(path: Path, limit: float) -> Diagnostic:
    help_ = (f"`vmlaunch down --kill {path.name}` ends it by force and puts the host back",)
    return Diagnostic("E551", f"{path.name} has not gone in {limit:.0f} s: it is held by {held_by(path)}", help=help_)


def held_by(path: Path) -> str:
    from launcher.vms.holders import holders

    return ", ".join(map(str, holders(path))) or "processes that we may not look at"


def _who_answers(path: Path) -> str:
    from launcher.vms.holders import is_orphaned

    if is_orphaned(path):
        return f"the runner of {path.name} to leave, for its keeper has died: {held_by(path)}"
    return f"the keeper of {path.name} to answer: {held_by(path)}"


def _all_go_on(path: Path) -> bool:
    from launcher.vms.holders import holders

    found = holders(path)
    return bool(found) and not any(one.stopped for one in found)


def is_going(path: Path) -> bool:
    """It is up and stops, or its keeper has died: somebody who waits has the name to himself."""
    from launcher.vms.channel import Channel
    from launcher.vms.folder_state import SOCKET, STATE
    from launcher.vms.looking import is_up, read_json

    if not is_up(path):
        return False
    state = read_json(path / STATE)
    if isinstance(state, dict) and state.get("phase") in ("stopping", "ended"):
        return True
    try:
        Channel.connect(path / SOCKET).close()
    except OSError as error:
        return isinstance(error, ConnectionRefusedError)
    return False


def silent(path: Path) -> Refused:
    """Names who holds it, and the way out."""
    from launcher.vms.holders import holders

    found = holders(path)
    who = f"; {path.name} is held by {', '.join(map(str, found))}" if found else ""
    stopped = tuple(f"`kill -CONT {one.pid}` lets process {one.pid} go on" for one in found if one.stopped)
    help_ = (*stopped, f"`vmlaunch down --kill {path.name}` ends it by force and puts the host back")
    return Refused(Diagnostic("E519", f"the keeper of {path.name} does not answer{who}", help=help_))
