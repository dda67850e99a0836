"""The name of a VM that is up in; its serial console on this terminal, until it ends or the person leaves, out."""

from __future__ import annotations

import json
import sys

from launcher.errors import Diagnostic, NoSuchVm
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from launcher.plan.outcome import Report


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|SPEC|PLAN", help="the VM's name, its YAML file or its saved plan")
    parser.add_argument("--json", action="store_true", help="what the guest says as JSON lines, then the report")


def run(options: argparse.Namespace) -> int:
    from launcher.cli.attach import Manner
    from launcher.cli.keyboard import is_ours
    from launcher.cli.naming import folder_of
    from launcher.cli.output import Output, Terminal, json_lines
    from launcher.cli.watching import watch

    path = folder_of(options.name, options.sources)
    output = Output(json_lines()) if options.json else Terminal() if sys.stdout.isatty() else Output()
    typed = not (options.json and is_ours())
    found = watch(path, "console", Manner(typed=typed, owner=False), output, everything=False)
    if found is None:
        help_ = (f"`vmlaunch logs {path.name}` shows what it said",)
        raise NoSuchVm(Diagnostic("E520", f"{path.name} is not up", help=help_))
    if found.report is None:
        print(f"left {path.name} running", file=sys.stderr)
        return 128 + found.signal if found.signal else 0
    return ended(found.report, as_json=options.json)


def ended(report: Report, *, as_json: bool) -> int:
    """The exit code is the VM's."""
    from launcher.plan.codec import report_to_json
    from launcher.report.frame import visible

    assert report.end is not None
    if as_json:
        print(json.dumps({"report": report_to_json(report)}))
    else:
        print(visible(f"{report.name} ended: {report.end.detail}"), file=sys.stderr)
    return report.end.exit_code
