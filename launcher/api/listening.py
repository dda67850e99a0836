"""The state folder of a VM that is up in; a conversation with its keeper as one of those who listen, out."""

from __future__ import annotations

from launcher.api.conversation import Conversation, OnConsole
from launcher.api.folders import left_to_undo
from launcher.api.reaching import Waiting, ask
from launcher.errors import Diagnostic, HostNotRestored, Refused, StepFailed
from launcher.typed import TYPE_CHECKING
from launcher.vms.awaited import AwaitedText
from launcher.vms.orders import Watch, WatchLines

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.errors import LauncherError


def listen(
    path: Path,
    name: str,
    on_console: OnConsole,
    *,
    everything: bool | int = True,
    said: tuple[str, float] | None = None,
    waiting_as: type[Waiting] = Waiting,
) -> Conversation | None:
    """`name` says what we are; `everything`: also what was said before, or so many lines. None: the VM is not up.

    `on_console` is called from within `hear` of the conversation, which does not stop the VM when it is closed.
    `said`: a text that the guest is to have said within so many seconds.
    """
    awaited = AwaitedText(*said) if said else None
    if awaited is not None:
        awaited.begin()
    order = Watch(name, everything) if isinstance(everything, bool) else WatchLines(name, everything)
    answer = ask(path, order, waiting_as=waiting_as)
    if answer is None:
        return None
    talk = Conversation(answer.channel, lambda _: None, on_console, owner=False, awaited=awaited)
    talk.take(answer.first)
    return talk


def never_said(name: str, said: tuple[str, float]) -> Diagnostic:
    """Of a VM that had ended before we could listen."""
    return AwaitedText(*said).complaint(name)


def cut_short(path: Path, talk: Conversation) -> LauncherError:
    """Why it heard no end."""
    return _no_place(path, talk.full) if talk.full else _lost(path)


def _no_place(path: Path, most: int) -> LauncherError:
    help_ = (f"`vmlaunch inspect {path.name}` lists them", f"`vmlaunch logs {path.name}` needs no place")
    return Refused(Diagnostic("E550", f"{most} read the console of {path.name} already", help=help_))


def _lost(path: Path) -> LauncherError:
    """The keeper went without a report."""
    help_ = (f"`vmlaunch down {path.name}` clears up what it left",)
    found = Diagnostic("E510", f"the keeper of {path.name} was lost; its runner ends the guest by itself", help=help_)
    return HostNotRestored(found) if left_to_undo(path) else StepFailed(found)
