"""The name of a VM in; its report out, live, or the last one of a VM that ended."""

from __future__ import annotations

import sys
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from launcher.plan.outcome import Report
    from launcher.report.holdings import Row


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|SPEC|PLAN", help="the VM's name, its YAML file or its saved plan")
    parser.add_argument("-v", "--verbose", action="store_true", help="and what its processes hold while it runs")
    parser.add_argument("--json", action="store_true", help="the report and the plan as JSON")


def run(options: argparse.Namespace) -> int:
    from launcher.api.folders import saved_in
    from launcher.api.inspecting import held_by_processes, report_of, traffic_of
    from launcher.cli.naming import folder_of
    from launcher.cli.patience import ToldWaiting
    from launcher.plan.codec import report_to_json
    from launcher.report.escapes import as_json

    path = folder_of(options.name, options.sources)
    report = report_of(path, ToldWaiting)
    held = held_by_processes(report) if options.verbose else {}
    plan = saved_in(path)
    counted = traffic_of(report, plan)
    if options.json:
        answer = {"report": report_to_json(report), "plan": plan}
        if counted:
            answer["traffic"] = {alias: one._asdict() for alias, one in counted.items()}
        known = {name: one and one._asdict() for name, one in held.items()}
        print(as_json(answer | ({"processes": known} if held else {})))
        return 0
    from launcher.report.holdings import rows
    from launcher.report.traffic import rows_of

    _show(report, chain(rows_of(counted), rows(report, held)))
    return 0


def _show(report: Report, more: Iterator[Row]) -> None:
    from launcher.cli.terminal import drawn, wants_colour
    from launcher.report.report_text import print_report

    if report.diagnostics:
        print(drawn(report.diagnostics, {}, sys.stderr) + "\n", file=sys.stderr)
    print_report(report, sys.stdout, colour=wants_colour(sys.stdout), verbose=True, more=more)
