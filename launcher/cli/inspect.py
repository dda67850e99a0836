"""The name of a VM in; its report out, live, or the last one of a VM that ended."""

from __future__ import annotations

import sys
from contextlib import suppress
from itertools import chain

from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from launcher.plan.outcome import Report
    from launcher.report.holdings import Row

EVERY, LEAST, MOST = 2.0, 0.1, 3600.0  # seconds
CLEAR = "\x1b[H\x1b[2J"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|SPEC|PLAN", help="the VM's name, its YAML file or its saved plan")
    parser.add_argument("-v", "--verbose", action="store_true", help="and what its processes hold while it runs")
    parser.add_argument("-w", "--watch", action="store_true", help="again and again, until the VM has ended")
    parser.add_argument(
        "--every", type=_seconds, default=EVERY, metavar="SECONDS", help=f"with --watch, how often (default: {EVERY:g})"
    )
    parser.add_argument("--json", action="store_true", help="the report and the plan as JSON, on one line")


def _seconds(text: str) -> float:
    """Of a ValueError argparse would tell the name of this function."""
    with suppress(ValueError):
        if LEAST <= (seconds := float(text)) <= MOST:
            return seconds
    import argparse

    from launcher.report.frame import shown

    raise argparse.ArgumentTypeError(f"{shown(text)} is not {LEAST:g} to {MOST:g} seconds")


def run(options: argparse.Namespace) -> int:
    from launcher.api.inspecting import report_of, reports_of
    from launcher.cli.naming import folder_of
    from launcher.cli.patience import ToldWaiting

    path = folder_of(options.name, options.sources)
    if not options.watch:
        _tell(report_of(path, ToldWaiting), path, options)
        return 0
    for number, report in enumerate(reports_of(path, options.every, ToldWaiting)):
        if not options.json:
            _part_from_the_last(number)
        _tell(report, path, options)
        sys.stdout.flush()
    return 0


def _part_from_the_last(number: int) -> None:
    """A terminal shows one at a time; elsewhere an empty line is between them."""
    from launcher.cli.terminal import can_redraw

    if can_redraw(sys.stdout):
        sys.stdout.write(CLEAR)
    elif number:
        print()


def _tell(report: Report, path: Path, options: argparse.Namespace) -> None:
    from launcher.api.folders import saved_in
    from launcher.api.inspecting import cut_off_of, held_by_processes, traffic_of

    held = held_by_processes(report) if options.verbose else {}
    plan = saved_in(path)
    counted, cut_off = traffic_of(report, plan), cut_off_of(report, plan)
    if options.json:
        _print_json(report, plan, {"traffic": _as_dicts(counted), "cut_off": cut_off, "processes": _as_dicts(held)})
        return
    from launcher.report.holdings import rows
    from launcher.report.traffic import rows_of

    _show(report, chain(rows_of(counted, cut_off), rows(report, held)))


def _print_json(report: Report, plan: Any, more: Mapping[str, Any]) -> None:
    """What there is nothing of is left out."""
    from launcher.plan.codec import report_to_json
    from launcher.report.escapes import as_json

    answer = {"report": report_to_json(report), "plan": plan}
    print(as_json(answer | {name: one for name, one in more.items() if one}))


def _as_dicts(found: Mapping[str, Any]) -> dict[str, Any]:
    return {name: one and one._asdict() for name, one in found.items()}


def _show(report: Report, more: Iterator[Row]) -> None:
    from launcher.cli.terminal import drawn, wants_colour
    from launcher.report.report_text import print_report

    if report.diagnostics:
        print(drawn(report.diagnostics, {}, sys.stderr) + "\n", file=sys.stderr)
    print_report(report, sys.stdout, colour=wants_colour(sys.stdout), verbose=True, more=more)
