"""Specs and the recorded facts of many hosts in; which can run them, best first, and why others cannot, out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from launcher.errors import Diagnostic, WrongUsage
from launcher.report.escapes import as_json
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from launcher.plan.placement import Placement

MOST = 20  # hosts that a person wants to see
UNREAD = 10  # files with what is wrong with them
_EVERY = 50  # hosts between two words on how far it is


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="a YAML file, or `-` for stdin; each gets a host")
    parser.add_argument(
        "hosts", metavar="HOSTS", help="a folder of facts files (`devices --json`), or a file with one in each line"
    )
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field of each spec")
    parser.add_argument("--strict", action="store_true", help="warnings block, too")
    parser.add_argument("--all", action="store_true", help=f"list all hosts that can run it, not the best {MOST}")
    parser.add_argument(
        "--format",
        choices=tuple(ANSWERS),
        default="text",
        help="how to answer (default: text), or a job for a scheduler",
    )
    parser.add_argument(
        "--claim", action="store_true", help="with --format kubernetes: claim devices, no plugin has them"
    )
    parser.add_argument(
        "--domain", metavar="NAME", help="with --format kubernetes: of the plugin's resources, or the driver"
    )
    parser.add_argument("--image", metavar="NAME", help="with --format kubernetes: the image that has vmlaunch")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="short for --format json")


def run(options: argparse.Namespace) -> int:
    import gc

    from launcher.api.placing import place
    from launcher.cli.given import load_bytes
    from launcher.cli.spec_folder import read_one

    _check_words(options)
    gc.enable()  # this goes on for as long as there are hosts
    options.loaded = specs = [
        load_bytes(read_one(path, "place"), path, options.set, options.sources) for path in options.specs
    ]
    progress = _Progress()
    try:
        found = place(specs, options.hosts, strict=options.strict, told=progress)
    finally:
        progress.over()
    _say(found, options)
    ANSWERS[options.format](found, options)
    return 0 if found.fits else 1


def _check_words(options: argparse.Namespace) -> None:
    """What is last is the hosts."""
    last = options.hosts.endswith((".yaml", ".yml")) or options.hosts == "-"
    if last or any(os.path.isdir(one) for one in options.specs):
        help_ = ("write `vmlaunch place SPEC... HOSTS`",)
        raise WrongUsage(Diagnostic("E579", "specs come first, and the hosts last", help=help_))
    if options.format in JOBS or options.claim or options.domain or options.image:
        from launcher.cli.jobs import check_words

        check_words(options)
    if options.specs.count("-") > 1:
        raise WrongUsage(Diagnostic("E579", "stdin holds one spec", help=("write `-` once",)))


class _Progress:
    """How many hosts have been judged, at a terminal."""

    def __init__(self) -> None:
        from launcher.cli.terminal import can_redraw

        self._live, self._said = can_redraw(sys.stderr), False

    def __call__(self, number: int) -> None:
        if self._live and number % _EVERY == 0:
            print(f"\r{number} hosts judged", end="", file=sys.stderr, flush=True)
            self._said = True

    def over(self) -> None:
        if self._said:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def _say(found: Placement, options: argparse.Namespace) -> None:
    """What is wrong with files and specs; in JSON it is a part of the answer."""
    from launcher.cli.terminal import drawn

    of_specs = [one for spec in found.specs for one in spec.diagnostics]
    told = (*found.unread[:UNREAD], *of_specs)
    if not told or options.format == "json":
        return
    print(drawn(told, options.sources, sys.stderr), end="\n\n", file=sys.stderr)
    if (more := len(found.unread) - UNREAD) > 0:
        print(f"vmlaunch: and {more} more are no facts or there twice; --json has them\n", file=sys.stderr)


def _text(found: Placement, options: argparse.Namespace) -> None:
    from launcher.report.frame import visible
    from launcher.report.lines import columns_of, wrapped
    from launcher.report.placement_text import placement_text

    most, width = sys.maxsize if options.all else MOST, columns_of(sys.stdout)
    print(placement_text(found, most, width))
    if any(one.fitting < len(one.hosts) for one in found.specs):
        more = f"`vmlaunch plan {options.specs[0]} --host FILE` says all that there is to say of one host."
        print("", *wrapped("", visible(more), width), sep="\n")


def _json(found: Placement, _: argparse.Namespace) -> None:
    from launcher.plan.placement import placement_to_json

    print(as_json(placement_to_json(found), indent=1))


def _job(found: Placement, options: argparse.Namespace) -> None:
    from launcher.cli.jobs import show

    show(found, options)


JOBS = ("slurm", "kubernetes")
ANSWERS: dict[str, Callable[[Placement, argparse.Namespace], None]] = {
    "text": _text,
    "json": _json,
    **dict.fromkeys(JOBS, _job),
}
