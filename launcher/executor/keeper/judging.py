"""A runner has gone, or a keeper was refused something: what is known, in; how the VM ended, in its records, out."""

from __future__ import annotations

from collections.abc import Collection

from launcher.errors import Diagnostic, HostNotRestored, LauncherError, StepFailed
from launcher.executor.ending import describe_death, stopped_by_force
from launcher.executor.keeper.changing import commands
from launcher.executor.keeper.records import Records
from launcher.executor.keeper.stopping import Stopping
from launcher.plan.outcome import End
from launcher.record import replace
from launcher.refusals import cause, in_words, refusal_of
from launcher.signals import signal
from launcher.vms.awaited import AwaitedText
from launcher.vms.journal import Entry


def judge_refusal(records: Records, error: Exception) -> None:
    """No step was refused, but the keeper itself: the VM ends in order. A bug is raised again."""
    refused = refusal_of(error)
    if refused is None:
        raise error
    records.note(in_words("keep the VM running", refused))
    records.end = records.end or End("failed", cause(refused), StepFailed.exit_code)


def judge_death(records: Records, stopping: Stopping, status: int) -> None:
    """The runner ended as it said, as it was asked to, or without a word. `status`: os.waitstatus_to_exitcode."""
    by, end, death = stopping.by, records.end, describe_death(status)
    if by is not None and status in (0, -signal.SIGKILL):
        records.end = end or stopped_by_force(by, stopping.code, stopping.why)
    elif end is None or (status and end.how != "failed"):
        records.note(Diagnostic("E535" if status == -signal.SIGSYS else "E502", death.detail))
        records.end = replace(end, exit_code=death.exit_code) if end else death


def judge_silence(records: Records, awaited: AwaitedText, name: str) -> None:
    """What the guest was to say and did not."""
    if not awaited.heard and records.end is not None:
        records.note(awaited.complaint(name))
        records.end = replace(records.end, exit_code=awaited.exit_code(records.end.exit_code))


def judge_left(records: Records, left: Collection[tuple[Entry, OSError]], left_so: Collection[Diagnostic]) -> None:
    """What could not be put back, and what was not to be."""
    for one in left_so:
        records.note(one)
    records.left_behind = tuple(commands(entry) for entry, _ in left)
    if left and records.end is not None:
        records.end = replace(records.end, exit_code=HostNotRestored.exit_code)


def judge_unread_journal(records: Records, error: OSError | LauncherError, name: str, *, changed: bool) -> None:
    """What is left, `down` will see. `changed`: the plan changes the host."""
    found = error.diagnostics if isinstance(error, LauncherError) else (in_words("read the journal", error),)
    records.diagnostics += found
    if changed:
        records.left_behind = (f"vmlaunch down {name}",)
        records.end = End("failed", found[0].message, HostNotRestored.exit_code)
