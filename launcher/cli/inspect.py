"""The name of a VM in; its report out, live, or the last one of a VM that ended."""

from __future__ import annotations

import select
import sys
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from launcher.errors import Diagnostic
from launcher.record import replace

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from launcher.cli.reaching import Answer
    from launcher.plan.outcome import Report
    from launcher.vms.holdings import Holdings

PATIENCE = 5.0  # seconds for the runner to say what only it knows


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|SPEC|PLAN", help="the VM's name, its YAML file or its saved plan")
    parser.add_argument("-v", "--verbose", action="store_true", help="and what keeper and runner hold while it runs")
    parser.add_argument("--json", action="store_true", help="the report and the plan as JSON")


def run(options: argparse.Namespace) -> int:
    from launcher.cli.reaching import folder_of
    from launcher.plan.codec import report_to_json
    from launcher.report.escapes import as_json
    from launcher.vms.folder import PLAN, read_json

    path = folder_of(options.name, options.sources)
    report = _report(path)
    held = _held(report) if options.verbose else {}
    if options.json:
        answer = {"report": report_to_json(report), "plan": read_json(path / PLAN)}
        known = {name: one and one._asdict() for name, one in held.items()}
        print(as_json(answer | ({"processes": known} if held else {})))
        return 0
    _show(report, held)
    return 0


def _held(report: Report) -> dict[str, Holdings | None]:
    from launcher.vms.holdings import holdings

    pids = {} if report.end else {"keeper": report.pid, "runner": report.runner}
    return {name: None if pid is None else holdings(pid) for name, pid in pids.items()}


def _report(path: Path) -> Report:
    from launcher.api.past import past_report
    from launcher.cli.reaching import ask, silent
    from launcher.vms.folder import is_up
    from launcher.vms.orders import AskReport

    answer = ask(path, AskReport())
    if answer is None:
        return past_report(path)
    found = _heard(answer, path)
    answer.channel.close()
    if found is None:
        if is_up(path):
            raise silent(path)
        return past_report(path)
    return found


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


def _show(report: Report, held: dict[str, Holdings | None]) -> None:
    from launcher.cli.terminal import drawn, wants_colour
    from launcher.report.console import print_report
    from launcher.report.holdings import rows

    if report.diagnostics:
        print(drawn(report.diagnostics, {}, sys.stderr) + "\n", file=sys.stderr)
    more = rows(report, held.get("keeper"), held.get("runner"))
    print_report(report, sys.stdout, colour=wants_colour(sys.stdout), verbose=True, more=more)
