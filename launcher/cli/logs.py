"""The name of a VM in; what its guest has said on the serial console, on stdout; with -f also what it says from now."""

from __future__ import annotations

import re
import sys

from launcher.errors import Diagnostic, WrongUsage
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from launcher.cli.output import Output, Shape


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME|SPEC|PLAN", help="the VM's name, its YAML file or its saved plan")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the VM ends")
    parser.add_argument("-n", "--tail", metavar="LINES", help="only so many lines of its end, and with -f what follows")
    parser.add_argument("--raw", action="store_true", help="on a terminal, too, as the guest said it")
    parser.add_argument("--json", action="store_true", help="JSON lines")


def run(options: argparse.Namespace) -> int:
    from launcher.cli.naming import folder_of
    from launcher.cli.output import Output

    lines = _lines(options.tail)
    path = folder_of(options.name, options.sources)
    output = Output(_shape(options))
    if options.follow and (code := _follow(path, output, lines)) is not None:
        return code
    _show(path, output, lines)
    return 0


def _lines(text: str | None) -> int | None:
    if text is None or re.fullmatch("[0-9]{1,9}", text):
        return None if text is None else int(text)
    help_ = ("write a number, as in -n 50",)
    raise WrongUsage(Diagnostic("E532", f"{text!r} is not a number of lines", help=help_))


def _shape(options: argparse.Namespace) -> Shape:
    """A log is read, not obeyed: a guest's escape sequences are for its console. What is no terminal obeys none."""
    from launcher.cli.output import harmless, json_lines

    if options.json:
        return json_lines()
    return bytes if options.raw or not sys.stdout.isatty() else harmless()


def _follow(path: Path, output: Output, lines: int | None) -> int | None:
    """None: it is not up, or ended before it heard us: its log is whole. How a VM ends is no failure of ours."""
    from launcher.cli.attach import Manner
    from launcher.cli.watching import watch

    found = watch(path, "logs", Manner(typed=False, owner=False), output, everything=True if lines is None else lines)
    if found is None or (found.report is not None and not output.begun):
        return None
    return 128 + found.signal if found.signal else 0


def last_lines(said: bytes, wanted: int) -> bytes:
    """One without its end counts."""
    at = len(said) - said.endswith(b"\n") if wanted else -1
    for _ in range(wanted):
        if at < 0:
            return said
        at = said.rfind(b"\n", 0, at)
    return said[at + 1 :] if wanted else b""


def _show(path: Path, output: Output, lines: int | None) -> None:
    from launcher.api.folders import said_by

    said = said_by(path)
    if said is None:
        return
    output(said if lines is None else last_lines(said, lines))
    output.end()
    if output.line_open and sys.stdout.isatty():
        print()
