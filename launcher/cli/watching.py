"""The state folder of a VM that is up in; its guest on stdout until it ends or we leave, and how that was, out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from launcher.cli.attach import Attachment, Manner, listeners
from launcher.cli.reaching import ask
from launcher.errors import Diagnostic, HostNotRestored, Refused, StepFailed
from launcher.executor.conversation import Conversation
from launcher.vms.orders import Watch

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.cli.output import Output
    from launcher.errors import LauncherError
    from launcher.plan.outcome import Report


class Watched(NamedTuple):
    """`report` is the VM's last, None when it goes on; `signal` ended the watching, not the VM."""

    report: Report | None
    signal: int


def watch(path: Path, name: str, manner: Manner, output: Output, *, everything: bool) -> Watched | None:
    """`name` says what we are; `everything`: also what was said before. None: the VM is not up."""
    answer = ask(path, Watch(name, everything))
    if answer is None:
        return None
    talk = Conversation(answer.channel, lambda _: None, listeners(output, manner.wait), owner=False)
    talk.take(answer.first)
    attachment = Attachment(talk, output, manner)
    if not talk.full:
        attachment.follow()
    answer.channel.close()
    if not output.waiting:  # all that was said, or a reader who goes before he has it
        output.end()
    if output.line_open and sys.stdout.isatty():
        print(flush=True)
    if talk.ended is None and not attachment.left and not (manner.wait and manner.wait.heard):
        raise no_place(path, talk.full) if talk.full else lost(path)
    return Watched(talk.ended, attachment.signal)


def no_place(path: Path, most: int) -> LauncherError:
    help_ = (f"`vmlaunch inspect {path.name}` lists them", f"`vmlaunch logs {path.name}` needs no place")
    return Refused(Diagnostic("E550", f"{most} read the console of {path.name} already", help=help_))


def lost(path: Path) -> LauncherError:
    """The keeper went without a report."""
    from launcher.executor.keeper.changing import left_of
    from launcher.vms.folder import JOURNAL

    help_ = (f"`vmlaunch down {path.name}` clears up what it left",)
    found = Diagnostic("E510", f"the keeper of {path.name} was lost; its runner ends the guest by itself", help=help_)
    return HostNotRestored(found) if left_of(path / JOURNAL) else StepFailed(found)
