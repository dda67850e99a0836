"""The state folder of a VM in; the VM stopped, the host put back, its folder gone."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from time import monotonic

from launcher.api.folders import end_in, left_to_undo
from launcher.api.reaching import FAREWELL, PATIENCE, Waiting, ask, held_by, wait_for_end
from launcher.errors import HostNotRestored, Refused
from launcher.typed import TYPE_CHECKING
from launcher.vms.looking import is_up

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from launcher.errors import Diagnostic
    from launcher.plan.outcome import End


def bring_down(
    path: Path,
    timeout: float = 30.0,
    *,
    force: bool = False,
    waiting_as: type[Waiting] = Waiting,
    told: Callable[[Diagnostic], None] = lambda _: None,
    ended: Callable[[End], None] = lambda _: None,
) -> bool:
    """Press the power button and wait `timeout` seconds for the guest; `force` asks neither it nor a silent keeper.
    `told` hears of what a dead keeper had changed and somebody else has changed since (W543); `ended` of how the VM
    ended, now or before, where its keeper has lived to write it.

    False: the VM was not up; what a keeper that died has left is put back all the same. Refused when it is up and its
    folder was deleted.
    """
    was_up = is_up(path)
    if was_up:
        _stop(path, 0.0 if force else timeout, force, waiting_as)
    end = end_in(path)
    _clear(path, told)
    if end is not None:
        ended(end)
    if not was_up:
        refuse_homeless(path)
    return was_up


def refuse_homeless(path: Path) -> None:
    """Refused when a VM is up whose folder this was, and which no order reaches."""
    from launcher.api.leftovers import homeless_in

    if found := [one for name, one in homeless_in(path.parent) if name == path.name]:
        raise Refused(*found)


def _stop(path: Path, timeout: float, force: bool, waiting_as: type[Waiting]) -> None:
    """Ask the keeper and wait for it to go. One that does not answer, or go, is killed if it is by `force`.

    It answers a question that comes behind the order: so it has taken the order, and sees to it.
    """
    from launcher.vms.holders import is_stuck
    from launcher.vms.orders import AskReport, Stop

    if force and is_stuck(path):
        _kill(path, waiting_as)
    order = Stop("down", force, timeout)
    farewell = PATIENCE if force else FAREWELL
    try:
        while answer := ask(path, order, AskReport(), farewell=farewell, waiting_as=waiting_as):
            limit = 3 * PATIENCE if force else timeout + FAREWELL
            wait_for_end(path, limit, partial(_whom, path, monotonic() + timeout), waiting_as)
            answer.channel.close()
    except Refused:
        if not force:
            raise
        _kill(path, waiting_as)


def _whom(path: Path, until: float) -> str:
    if (left := until - monotonic()) > 0:
        return f"the guest of {path.name} to power off, which it has {left:.0f} s for"
    return f"{path.name} to go: {held_by(path)}"


def _kill(path: Path, waiting_as: type[Waiting]) -> None:
    """Keeper and runner. What they held the kernel takes back; what they changed is in the journal."""
    from launcher.vms.holders import kill_holders

    kill_holders(path)
    wait_for_end(path, FAREWELL, waiting_as=waiting_as)


def _clear(path: Path, told: Callable[[Diagnostic], None]) -> None:
    """What a dead keeper left: its journal is worked off, then the folder goes; unless a VM is up there by now."""
    from launcher.executor.keeper.claim import claim_folder
    from launcher.executor.keeper.restore import restore
    from launcher.kernel.real import RealKernel
    from launcher.refusals import REFUSALS
    from launcher.vms.folder import NameTaken

    try:
        with closing(claim_folder(path)) as folder:
            restore(folder, RealKernel(), told=told)
    except NameTaken:
        return
    except REFUSALS as error:
        raise _uncleared(path, error) from None


def _uncleared(path: Path, error: Exception) -> Exception:
    from launcher.refusals import in_words, refusal_of

    refused = refusal_of(error)
    if refused is None:
        return error
    return (HostNotRestored if left_to_undo(path) else Refused)(in_words(f"clear {path}", refused))
