"""The state folder of a VM that is up in; its guest on stdout until it ends or we leave, and how that was, out."""

from __future__ import annotations

import sys

from launcher.api.listening import cut_short, listen
from launcher.cli.attach import Attachment, Manner
from launcher.cli.patience import ToldWaiting
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.cli.output import Output
    from launcher.errors import Diagnostic
    from launcher.plan.outcome import Report


class Watched(NamedTuple):
    """`report` is the VM's last, None when it goes on; `signal` ended the watching, not the VM.

    `unsaid`: what we waited for, if the guest did not say it.
    """

    report: Report | None
    signal: int
    unsaid: Diagnostic | None


def watch(
    path: Path,
    name: str,
    manner: Manner,
    output: Output,
    *,
    everything: bool | int,
    said: tuple[str, float] | None = None,
) -> Watched | None:
    """`name`, `everything`, `said`: as `listen` takes them. None: the VM is not up."""
    talk = listen(path, name, output, everything=everything, said=said, waiting_as=ToldWaiting)
    if talk is None:
        return None
    attachment = Attachment(talk, output, manner)
    if not talk.full:
        attachment.follow()
    talk.close()
    if not output.waiting:  # all that was said, or a reader who goes before he has it
        output.end()
    if output.line_open and sys.stdout.isatty():
        print(flush=True)
    heard = talk.awaited is not None and talk.awaited.heard
    if talk.ended is None and not attachment.left and not heard:
        raise cut_short(path, talk)
    unsaid = None if talk.awaited is None or heard else talk.awaited.complaint(path.name)
    return Watched(talk.ended, attachment.signal, unsaid)
