"""This host or a recorded one out: its devices by IOMMU group with verdicts, or with --json the facts file."""

from __future__ import annotations

import os
import re
import sys

from launcher.errors import Diagnostic, WrongUsage
from launcher.report.escapes import as_json
from launcher.spec.kinds import WORDS, meant_by
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

    from launcher.host.facts import HostFacts

FORMATS = ("gres", "nodes", "prolog", "epilog", "resourceslice")
MOST = 2000  # functions that are all judged; of more, those that --class names


def arguments(parser: argparse.ArgumentParser) -> None:
    kinds = ", ".join(WORDS)
    parser.add_argument("--class", dest="kind", metavar="CLASS", help=f"{kinds}, or the first hex digits of a class")
    parser.add_argument("--host", metavar="FACTS", help="show a recorded host; with --format a folder of them, too")
    parser.add_argument("--json", action="store_true", help="write the facts file that `plan --host` reads")
    parser.add_argument("--format", choices=FORMATS, help="what a scheduler can give away: Slurm's, Kubernetes'")
    parser.add_argument(
        "--wish", action="append", default=[], metavar="CLASS.FIELD=VALUE",
        help="with --format: what all specs say of a class, as gpu.companions=attach; repeatable",
    )  # fmt: skip
    parser.add_argument("--domain", metavar="NAME", help="with --format resourceslice: the name of its driver")
    parser.add_argument("--deep", action="store_true", help="wake sleeping devices to read them")
    parser.add_argument("--raw", action="store_true", help="with --json: configuration space as hex, too")
    parser.add_argument("--as", dest="identity", metavar="USER", help="record another user, root or a UID, for `up`")
    parser.add_argument(
        "--redact", action="store_true", help="without host name, serials, MACs, most kernel parameters"
    )


def run(options: argparse.Namespace) -> int:
    _check_words(options)
    if options.format:
        from launcher.cli.inventories import show

        return show(options)
    host = _host(options)
    if options.json:
        from launcher.codec import encode

        print(as_json(encode(host), indent=1))
        return 0
    _show(host, options)
    return 0


def _check_words(options: argparse.Namespace) -> None:
    if options.kind is not None and options.kind not in WORDS and not re.fullmatch("[0-9a-fA-F]{2,6}", options.kind):
        meant = meant_by(options.kind)
        near = (f"did you mean `{meant}`?",) if meant else ()
        help_ = (*near, f"write {', '.join(WORDS)} or 2 to 6 hex digits, such as 0302")
        raise WrongUsage(Diagnostic("E297", f"{options.kind!r} is no class of devices", help=help_))
    others = (options.kind, options.json, options.redact, options.deep, options.raw, options.identity)
    if options.format and any(others):
        help_ = ("leave out the other options, or --format",)
        raise WrongUsage(Diagnostic("E297", f"--format {options.format} lists all that can be passed", help=help_))
    if not options.format and (options.wish or options.domain):
        help_ = (f"add --format {'|'.join(FORMATS)}",)
        raise WrongUsage(Diagnostic("E297", "--wish and --domain are for a scheduler's list", help=help_))
    if options.host and not options.format and os.path.isdir(options.host):
        help_ = (f"add --format {'|'.join(FORMATS)}", "or name one of its files")
        raise WrongUsage(Diagnostic("E297", "one host is shown, and this is a folder", help=help_))
    if options.kind is not None and options.json:
        help_ = ("leave out --class: `plan --host` needs all of the host",)
        raise WrongUsage(Diagnostic("E297", "a facts file holds the whole host, not one class", help=help_))
    if options.raw and not options.json:
        raise WrongUsage(Diagnostic("E297", "--raw is for the facts file", help=("add --json, or leave out --raw",)))
    if options.host and (options.deep or options.raw or options.identity):
        help_ = ("record it again with these options",)
        raise WrongUsage(Diagnostic("E297", "a recorded host cannot be read again (--deep, --raw, --as)", help=help_))


def _host(options: argparse.Namespace) -> HostFacts:
    from launcher.api.hosts import fit_to_share, recorded_host, this_host

    if options.host:
        host = recorded_host(options.host)
    else:
        host = this_host(deep=options.deep, raw=options.raw, identity=_identity(options.identity))
    return fit_to_share(host) if options.redact else host


def _identity(text: str | None) -> int | None:
    """`root`, or a number: names of other users may mean somebody else on the host of the plan."""
    if text is None or text == "root" or re.fullmatch("[0-9]{1,10}", text):
        return None if text is None else 0 if text == "root" else int(text)
    raise WrongUsage(Diagnostic("E297", f"{text!r} is neither root nor a UID", help=("see `id -u USER`",)))


def _show(host: HostFacts, options: argparse.Namespace) -> None:
    from launcher.api.verdicts import Trials, of_class
    from launcher.report.inventory import inventory_text
    from launcher.report.lines import columns_of

    kind = options.kind.lower() if options.kind else ""
    listed = of_class(host, kind)
    verdicts = Trials(host).verdicts(listed) if len(listed) <= MOST else {}
    print(inventory_text(host, listed, verdicts, columns_of(sys.stdout)))
    if not verdicts and listed:
        print(f"vmlaunch: {len(listed)} functions are too many to judge at once; name a --class", file=sys.stderr)
