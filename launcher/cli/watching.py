"""The state folder of a VM that is up in; its guest on stdout until it ends or we leave, and how that was, out."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from launcher.cli.attach import Attachment, Manner, listeners
from launcher.cli.reaching import reach
from launcher.errors import Diagnostic, HostNotRestored, StepFailed
from launcher.executor.conversation import Conversation
from launcher.vms.channel import Closed

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
    channel = reach(path)
    if channel is None:
        return None
    talk = Conversation(channel, lambda _: None, listeners(output, manner.wait), owner=False)
    with suppress(Closed):
        talk.watch(name, everything=everything)
    attachment = Attachment(talk, output, manner)
    attachment.follow()
    channel.close()
    if not output.waiting:  # all that was said, or a reader who goes before he has it
        output.end()
    if output.line_open and sys.stdout.isatty():
        print(flush=True)
    if talk.ended is None and not attachment.left and not (manner.wait and manner.wait.heard):
        if talk.running is None:  # it ended, and took nobody in any more
            return watch(path, name, manner, output, everything=everything)
        raise lost(path)
    return Watched(talk.ended, attachment.signal)


def lost(path: Path) -> LauncherError:
    """The keeper went without a report."""
    from launcher.executor.changing import left_of
    from launcher.vms.folder import JOURNAL

    help_ = (f"`vmlaunch down {path.name}` clears up what it left",)
    found = Diagnostic("E510", f"the keeper of {path.name} was lost; its runner ends the guest by itself", help=help_)
    return HostNotRestored(found) if left_of(path / JOURNAL) else StepFailed(found)
