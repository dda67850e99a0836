"""A spec in, its plan for this host (or a recorded one) out. The only thing it writes is the file named by -o."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from launcher.cli.terminal import wants_colour
from launcher.errors import Diagnostic, NotPermitted, Refused, Where

if TYPE_CHECKING:
    import argparse

    from launcher.host.facts import HostFacts
    from launcher.plan.plan import Plan

# What may be because of who asks and not of what is asked.
DENIALS = {"E402", "E411"}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", help="a spec, or - for stdin")
    parser.add_argument("-o", dest="output", metavar="FILE", help="save the plan for `up`")
    parser.add_argument("--host", metavar="FACTS", help="plan for a recorded host: see `devices --json`")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field; repeatable")
    parser.add_argument("--strict", action="store_true", help="warnings block, too")
    parser.add_argument("--format", choices=tuple(ANSWERS), default="text", help="how to answer (default: text)")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="short for --format json")


def run(options: argparse.Namespace) -> int:
    from launcher.api.hosts import recorded_host, this_host
    from launcher.cli.reading import read_bytes

    if options.output == "-":
        raise Refused(Diagnostic("E294", "-o saves to a file, not to stdout", help=("`--json` prints the plan",)))
    host = recorded_host(options.host) if options.host else this_host()
    plan = plan_spec(read_bytes(options.spec), options, host)
    if options.output:
        save(plan, options.output)
    ANSWERS[options.format](plan, options.sources)
    return exit_code(plan, options.strict)


def plan_spec(raw: bytes, options: argparse.Namespace, host: HostFacts) -> Plan:
    """`raw` is what the file named by `options.spec` holds."""
    from launcher.api.plans import make_plan
    from launcher.cli.reading import load_bytes

    return make_plan(load_bytes(raw, options.spec, options.set, options.sources), host)


def exit_code(plan: Plan, strict: bool) -> int:
    errors = {one.code for one in plan.diagnostics if one.severity == "error"}
    if errors and errors <= DENIALS:
        return NotPermitted.exit_code
    return 1 if errors or (strict and plan.diagnostics) else 0


def save(plan: Plan, path: str) -> None:
    """Whole or not at all: a reader of `path` never sees half a plan."""
    draft = f"{path}.{os.getpid()}.tmp"
    try:
        with open(draft, "w", encoding="utf-8") as file:
            file.write(plan_bytes(plan))
        os.replace(draft, path)
    except OSError as error:
        with suppress(OSError):
            os.unlink(draft)
        fact = f"failed to save the plan: {(error.strerror or str(error)).lower()}"
        raise Refused(Diagnostic("E295", fact, Where(path))) from None


def plan_bytes(plan: Plan) -> str:
    from launcher.plan.codec import plan_to_json

    return json.dumps(plan_to_json(plan), indent=2, ensure_ascii=False) + "\n"


def _text(plan: Plan, sources: Mapping[str, str]) -> None:
    from launcher.report.diagnostics import as_text
    from launcher.report.plan_text import plan_text

    colour = wants_colour(sys.stdout)
    print(plan_text(plan, as_text(plan.diagnostics, sources, colour=colour), colour=colour))


def _json(plan: Plan, _: Mapping[str, str]) -> None:
    print(plan_bytes(plan), end="")


def _github(plan: Plan, _: Mapping[str, str]) -> None:
    from launcher.report.diagnostics import as_github

    if plan.diagnostics:
        print(as_github(plan.diagnostics))


def _sarif(plan: Plan, _: Mapping[str, str]) -> None:
    from launcher.report.sarif import as_sarif

    print(json.dumps(as_sarif(list(plan.diagnostics)), indent=2, ensure_ascii=False))


ANSWERS: dict[str, Callable[[Plan, Mapping[str, str]], None]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "sarif": _sarif,
}
