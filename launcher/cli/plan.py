"""A spec in, its plan for this host or a recorded one out; or a saved plan. It writes only the files of -o, --svg."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from launcher.api.blocking import exit_code
from launcher.api.saving import PICTURE, PLAN, check_apart, check_target, write_whole
from launcher.cli import hello
from launcher.cli.terminal import annotate, drawn, wants_colour
from launcher.errors import Diagnostic, WrongUsage
from launcher.report.escapes import as_json
from launcher.report.frame import visible
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from launcher.plan.plan import Plan


def arguments(parser: argparse.ArgumentParser) -> None:
    hello.arguments(parser, "a YAML file, `-` for stdin, or a plan to show, saved by `-o`")
    parser.add_argument("-o", "--output", metavar="FILE", help="save the plan for `up`")
    parser.add_argument("--svg", metavar="FILE", help="draw its groups and memory map into a file")
    parser.add_argument("--diff", action="store_true", help="only what differs from the VM of that name that is up")
    parser.add_argument("--host", metavar="FACTS", help="plan for a recorded host: see `devices --json`")
    parser.add_argument(
        "--only", metavar="ADDRESS,...", help="touch no other devices, companions included; env: what a scheduler gave"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field; repeatable")
    parser.add_argument("--strict", action="store_true", help="warnings block, too")
    parser.add_argument(
        "--format",
        choices=tuple(ANSWERS),
        default="text",
        help="how to answer (default: text); cloud-init: what that will find in the guest",
    )
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="short for --format json")


def at_a_glance(words: Sequence[str]) -> dict[str, object] | None:
    nothing = dict.fromkeys(("output", "svg", "host", "only"))
    others: dict[str, object] = {**nothing, "diff": False, "strict": False, "set": [], "format": "text"}
    return hello.only_a_file(words, others, {"--json": ("format", "json"), "--strict": ("strict", True)})


def run(options: argparse.Namespace) -> int:
    from launcher.api.plans import is_saved_plan
    from launcher.cli.given import saved_plan
    from launcher.cli.spec_folder import read_one

    options.spec = hello.meant(options)
    _check_words(options)
    _check_targets(options)
    raw = read_one(options.spec, options.verb)
    if options.diff:
        from launcher.cli.difference import show_difference

        return show_difference(raw, options)
    plan = saved_plan(raw, options) if is_saved_plan(raw) else _planned(raw, options)
    _write(plan, options)
    ANSWERS[options.format](plan, options)
    code = exit_code(plan.diagnostics, options.strict)
    _confirm(plan, options, can_run=code == 0)
    _mention_running(raw, plan, options)
    return code


def _planned(raw: bytes, options: argparse.Namespace) -> Plan:
    """`raw` is what the file named by `options.spec` holds."""
    from launcher.api.plans import make_plan
    from launcher.cli.given import chosen_host, given_functions, load_bytes

    loaded = load_bytes(raw, options.spec, options.set, options.sources)
    host = chosen_host(options, loaded.spec)
    only = given_functions(options, host)
    options.nameless = bool(host.pci) and not any(one.name for one in host.pci)
    return make_plan(loaded, host, only)


def _mention_running(raw: bytes, plan: Plan, options: argparse.Namespace) -> None:
    """What `up` would say first: no part of the plan, which knows nothing of VMs that are up."""
    from launcher.cli.difference import compared_with_running

    if not options.host and (words := compared_with_running(raw, plan.name, options)):
        print(visible(words), file=sys.stderr)


def _write(plan: Plan, options: argparse.Namespace) -> None:
    if options.output:
        from launcher.api.plans import plan_text as saved

        write_whole(options.output, saved(plan), PLAN)
    if options.svg:
        from launcher.report.svg import plan_svg

        write_whole(options.svg, plan_svg(plan), PICTURE)


def _confirm(plan: Plan, options: argparse.Namespace, *, can_run: bool) -> None:
    """A plan for a recorded host runs there and nowhere else."""
    if options.output:
        there = f" on {plan.host.name}" if options.host else ""
        run = f"run it with `vmlaunch up {options.output}`{there}"
        fate = run if can_run else f"it cannot run on {plan.host.name}"
        print(visible(f"saved {options.output}; {fate}"), file=sys.stderr)
    if options.svg:
        print(visible(f"drew {options.svg}"), file=sys.stderr)


def _check_words(options: argparse.Namespace) -> None:
    if "-" in (options.output, options.svg):
        option = "-o" if options.output == "-" else "--svg"
        help_ = ("`--json` prints the plan",) if option == "-o" else ("give it the name of a file",)
        raise WrongUsage(Diagnostic("E294", f"{option} saves to a file, not to stdout", help=help_))
    if options.diff and (options.output or options.svg or options.format not in ("text", "json")):
        help_ = ("leave out -o, --svg and --format, or --diff",)
        raise WrongUsage(Diagnostic("E296", "--diff shows a difference and makes no plan to save or draw", help=help_))


def _check_targets(options: argparse.Namespace) -> None:
    """Before anything is read or written."""
    for path, kind in ((options.output, PLAN), (options.svg, PICTURE)):
        if path:
            check_target(path, kind)
    check_apart(options.output, options.svg)


def _text(plan: Plan, options: argparse.Namespace) -> None:
    from launcher.report.lines import width_of, wrapped
    from launcher.report.plan_text import plan_text

    found, width = drawn(plan.diagnostics, options.sources, sys.stdout), width_of(sys.stdout)
    print(plan_text(plan, found, strict=options.strict, colour=wants_colour(sys.stdout), width=width))
    if plan.devices and getattr(options, "nameless", False):  # of a saved plan it is not known
        from launcher.report.inventory import NAMELESS

        print("\n".join(wrapped("", NAMELESS, width)))
    if plan.diagnostics:
        from launcher.report.diagnostics import more_about

        print(more_about(plan.diagnostics))
        annotate(plan.diagnostics)


def _json(plan: Plan, _: argparse.Namespace) -> None:
    from launcher.api.plans import plan_text as saved

    print(saved(plan), end="")


def _github(plan: Plan, _: argparse.Namespace) -> None:
    from launcher.report.diagnostics import as_github

    if plan.diagnostics:
        print(as_github(plan.diagnostics))


def _sarif(plan: Plan, _: argparse.Namespace) -> None:
    from launcher.report.sarif import as_sarif

    print(as_json(as_sarif(list(plan.diagnostics)), indent=2))


def _cloud_init(plan: Plan, _: argparse.Namespace) -> None:
    from launcher.api.seed import seed_of
    from launcher.report.escapes import escaped

    for one in seed_of(plan):
        head = f"==> {one.name}{f' ({one.path})' if one.path else ''} <=="
        print(escaped(f"{head}\n{one.text.rstrip()}\n"))


ANSWERS: dict[str, Callable[[Plan, argparse.Namespace], None]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "sarif": _sarif,
    "cloud-init": _cloud_init,
}
