"""Specs in, a verdict on each out. Any machine, no root, nothing is changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from launcher.cli.spec_folder import none_in, specs_in
from launcher.cli.terminal import annotate, drawn
from launcher.errors import Diagnostic, LauncherError
from launcher.record import record
from launcher.report.escapes import as_json
from launcher.report.frame import visible
from launcher.typed import TYPE_CHECKING
from launcher.values import show_size
from launcher.version import VERSION

if TYPE_CHECKING:
    import argparse

    from launcher.spec.parts import VmSpec
SHOWN = 8


@record
class Verdict:
    """`spec` is None where the file is refused."""

    file: str
    spec: VmSpec | None
    diagnostics: tuple[Diagnostic, ...] = ()
    exit_code: int = 0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("specs", nargs="+", metavar="SPEC", help="a file, a folder with specs, or - for stdin")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a field; repeatable")
    parser.add_argument("--fix", action="store_true", help="write over the files what the fixes of their problems mend")
    parser.add_argument("--diff", action="store_true", help="show what --fix changes; alone, nothing is written")
    parser.add_argument("--format", choices=tuple(ANSWERS), default="text", help="how to answer (default: text)")
    parser.add_argument("--json", action="store_const", const="json", dest="format", help="short for --format json")


def at_a_glance(words: Sequence[str]) -> dict[str, object] | None:
    if not words or any(one.startswith("-") for one in words):
        return None
    return {"specs": [*words], "set": [], "fix": False, "diff": False, "format": "text"}


def run(options: argparse.Namespace) -> int:
    verdicts, passed_over = list[Verdict](), list[str]()
    for path in options.specs:
        verdicts += [_verdict(file, options) for file in _files(path, verdicts, passed_over)]
    options.passed_over = passed_over
    ANSWERS[options.format](verdicts, options)
    if passed_over and options.format != "json":
        print(_not_read(passed_over), file=sys.stderr)
    return max(one.exit_code for one in verdicts)


def _files(path: str, verdicts: list[Verdict], passed_over: list[str]) -> list[str]:
    found = specs_in(path)
    passed_over += found.passed_over
    if not found.specs:
        none = none_in(path)
        verdicts.append(Verdict(path, None, none.diagnostics, none.exit_code))
    return found.specs


def _verdict(file: str, options: argparse.Namespace) -> Verdict:
    from launcher.cli.given import read_spec

    try:
        if options.fix or options.diff:
            from launcher.cli.mending import mend

            mend(file, options)
        return Verdict(file, read_spec(file, options.set, options.sources).spec)
    except LauncherError as error:
        return Verdict(file, None, error.diagnostics, error.exit_code)


def _all(verdicts: Sequence[Verdict]) -> list[Diagnostic]:
    return [diagnostic for one in verdicts for diagnostic in one.diagnostics]


def _not_read(files: Sequence[str]) -> str:
    more = f" and {len(files) - SHOWN} more" if len(files) > SHOWN else ""
    verb = "was" if len(files) == 1 else "were"
    return visible(f"{', '.join(files[:SHOWN])}{more} {verb} not read: no spec by its name or its first words")


def _text(verdicts: Sequence[Verdict], options: argparse.Namespace) -> None:
    from launcher.report.diagnostics import counted, more_about

    found = _all(verdicts)
    if found:
        print(f"{drawn(found, options.sources, sys.stderr)}\n\n{more_about(found)}", file=sys.stderr)
        annotate(found)
    refused = [one for one in verdicts if one.spec is None]
    if not refused:
        print(_praise(verdicts))
    else:
        files = refused[0].file if len(verdicts) == 1 else f"{len(refused)} of {len(verdicts)} specs are not valid"
        print(visible(f"{files}: {counted(found)}"), file=sys.stderr)


def _praise(verdicts: Sequence[Verdict]) -> str:
    if len(verdicts) > 1:
        return f"{len(verdicts)} specs are valid"
    (one,) = verdicts
    assert one.spec is not None  # it is not refused
    spec = one.spec
    parts = [(spec.cpus.count, "vCPU"), (len(spec.devices), "device")]
    served = [(len(spec.disks), "disk"), (len(spec.nics), "NIC"), (len(spec.shares), "share")]
    told = (*parts, *(pair for pair in served if pair[0]))
    vcpus, *others = (f"{number} {noun}{'s' * (number != 1)}" for number, noun in told)
    memory = show_size(sum(bank.size for bank in spec.memory))
    vsock = ["vsock"] if spec.vsock else []
    return visible(f"{one.file}: valid: {', '.join([spec.name, vcpus, memory, *others, *vsock])}")


def _json(verdicts: Sequence[Verdict], options: argparse.Namespace) -> None:
    answer = {
        "format_version": "1.0",
        "vmlaunch": VERSION,
        "valid": all(one.spec for one in verdicts),
        "specs": [
            {"file": one.file, "valid": one.spec is not None, "name": one.spec.name if one.spec else None}
            for one in verdicts
        ],
        "not_read": options.passed_over,
        "diagnostics": [one.as_json() for one in _all(verdicts)],
    }
    print(as_json(answer, indent=2))


def _github(verdicts: Sequence[Verdict], _: argparse.Namespace) -> None:
    from launcher.report.diagnostics import as_github

    if found := _all(verdicts):
        print(as_github(found))


def _sarif(verdicts: Sequence[Verdict], _: argparse.Namespace) -> None:
    from launcher.report.sarif import as_sarif

    print(as_json(as_sarif(_all(verdicts)), indent=2))


def _junit(verdicts: Sequence[Verdict], options: argparse.Namespace) -> None:
    from launcher.report.junit import as_junit

    print(as_junit([(one.file, one.diagnostics) for one in verdicts], options.sources))


ANSWERS: dict[str, Callable[[Sequence[Verdict], argparse.Namespace], None]] = {
    "text": _text,
    "json": _json,
    "github": _github,
    "sarif": _sarif,
    "junit": _junit,
}
