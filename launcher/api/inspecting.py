"""The state folder of a VM in; its report as it is now, or as it ended, out; and what its processes hold."""

from __future__ import annotations

import os
import select
from contextlib import suppress
from time import monotonic

from launcher.api.reaching import Answer, Waiting, ask, silent
from launcher.errors import Diagnostic, NoSuchVm
from launcher.record import replace
from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from launcher.plan.outcome import Report
    from launcher.vms.holdings import Holdings
    from launcher.vms.traffic import Traffic

PATIENCE = 5.0  # seconds for the runner to say what only it knows


def report_of(path: Path, waiting_as: type[Waiting] = Waiting) -> Report:
    """NoSuchVm: there is nothing left of it."""
    from launcher.api.past import past_report
    from launcher.vms.looking import is_up
    from launcher.vms.orders import AskReport

    answer = ask(path, AskReport(), waiting_as=waiting_as)
    if answer is None:
        return past_report(path)
    found = _heard(answer, path)
    answer.channel.close()
    if found is None:
        if is_up(path):
            raise silent(path)
        return past_report(path)
    return found


def reports_of(path: Path, every: float, waiting_as: type[Waiting] = Waiting) -> Iterator[Report]:
    """As it is now, again every so many seconds, and the last one as soon as the VM has ended."""
    from launcher.vms.looking import is_up

    goes_on, report = is_up(path), report_of(path, waiting_as)
    yield report
    with suppress(NoSuchVm):  # whoever ended it has taken what is left of it away
        while report.end is None and goes_on:  # one that was over when it was asked has no more to say
            goes_on = not _gone(report.pid, every) and is_up(path)
            report = report_of(path, waiting_as)
            yield report


def _gone(keeper: int | None, seconds: float) -> bool:
    """Whether the keeper goes within this time; waits for it no longer."""
    try:
        descriptors = [] if keeper is None else [os.pidfd_open(keeper)]
    except ProcessLookupError:
        return True
    try:
        return bool(select.select(descriptors, [], [], seconds)[0])
    finally:
        for one in descriptors:
            os.close(one)


def held_by_processes(report: Report) -> dict[str, Holdings | None]:
    """Of keeper, runner, standby and engines, where there are any, while they live. None: there is no such process."""
    from launcher.vms.holdings import holdings

    if report.end:
        return {}
    pids = {"keeper": report.pid, "runner": report.runner}
    if report.standby is not None:
        pids["standby"] = report.standby
    pids |= {one.name: one.pid for one in report.engines if one.state == "runs"}
    return {name: None if pid is None else holdings(pid) for name, pid in pids.items()}


def traffic_of(report: Report, plan: Any) -> dict[str, Traffic]:
    """Through the taps of a VM that is up, by the alias of the NIC. `plan` as its folder has it."""
    from launcher.vms.traffic import traffic

    return traffic(plan) if isinstance(plan, dict) and report.end is None else {}


def cut_off_of(report: Report, plan: Any) -> dict[str, str]:
    """The NICs of a VM that is up whose taps lead nowhere any more, by alias: why."""
    from launcher.vms.traffic import cut_off

    return cut_off(plan) if isinstance(plan, dict) and report.end is None else {}


def _heard(answer: Answer, path: Path) -> Report | None:
    """The keeper answers at once with what it knows, and again when the runner has told it the rest."""
    from launcher.vms.notices import HasEnded, Known, Now, notice_from_json

    known: Report | None = None
    for message in _messages(answer):
        match notice_from_json(message):
            case Now(report) | HasEnded(report):
                return report
            case Known(report):
                known = report
    if known is None:
        return None
    note = Diagnostic("W528", f"the runner of {path.name} does not answer: its counts are those it told last")
    return replace(known, diagnostics=(*known.diagnostics, note))


def _messages(answer: Answer) -> Iterator[dict[str, Any]]:
    """As long as we have patience, or it has something to say."""
    from launcher.vms.channel import Closed

    yield answer.first.message or {}
    last = monotonic() + PATIENCE
    with suppress(Closed):
        while select.select([answer.channel], [], [], max(last - monotonic(), 0))[0]:
            packet = answer.channel.receive()
            yield (packet.message if packet else None) or {}
