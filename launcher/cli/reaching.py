"""The name of a VM in; its state folder, and a channel to its keeper, out."""

from __future__ import annotations

from time import monotonic, sleep
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic, NoSuchVm, Refused

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.vms.channel import Channel

PATIENCE, MOMENT, SECOND = 10.0, 0.05, 1.0  # for a keeper to have a socket; between two looks, later
FAREWELL = 600.0  # seconds for a runner whose keeper has died: it unpins all memory of its guest and resets devices


def folder_of(word: str, sources: dict[str, str]) -> Path:
    """Of a VM that is up, or has ended and left something."""
    from launcher.cli.naming import name_of, state_root

    name, root = name_of(word, sources), state_root()
    if root is None or not (root / name).is_dir():
        help_ = ("`vmlaunch ps -a` lists those there are",)
        raise NoSuchVm(Diagnostic("E520", f"there is no VM of the name {name}", help=help_))
    return root / name


def reach(path: Path, farewell: float = PATIENCE) -> Channel | None:
    """None: it is not up. A keeper that has just begun, or is about to go, has no socket for a moment.

    `farewell`: seconds that a runner has to go whose keeper has died.
    """
    from launcher.vms.channel import Channel
    from launcher.vms.folder import SOCKET, is_up

    began = monotonic()
    while is_up(path):
        try:
            return Channel.connect(path / SOCKET)
        except OSError as error:
            waited = monotonic() - began
            if waited < PATIENCE:
                sleep(MOMENT)
            elif isinstance(error, ConnectionRefusedError) and waited < farewell and _all_go_on(path):
                sleep(SECOND)
            else:
                raise silent(path) from None
    return None


def _all_go_on(path: Path) -> bool:
    from launcher.vms.holders import holders

    return not any(one.stopped for one in holders(path))


def is_going(path: Path) -> bool:
    """It is up and stops, or its keeper has died: somebody who waits has the name to himself."""
    from launcher.vms.channel import Channel
    from launcher.vms.folder import SOCKET, STATE, is_up, read_json

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
