"""A LauncherError in, its diagnostics out: as text on stderr, in any other format on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable

from launcher.cli.terminal import annotate, drawn
from launcher.errors import LauncherError
from launcher.report.diagnostics import as_github, closing, more_about
from launcher.report.escapes import as_json
from launcher.report.sarif import as_sarif
from launcher.typed import TYPE_CHECKING
from launcher.version import VERSION

if TYPE_CHECKING:
    import argparse

UNCHANGED = "nothing was changed"
# They never change a thing, and need not say so (`plan` may be asked to write a file), or may have by then.
SILENT = {
    "down",
    "ps",
    "inspect",
    "logs",
    "console",
    "devices",
    "doctor",
    "validate",
    "init",
    "import",
    "explain",
    "schema",
    "completion",
}
# exit code -> the last words about the host
ENDINGS = {
    1: UNCHANGED,
    2: UNCHANGED,
    4: UNCHANGED,
    10: UNCHANGED,
    11: "the host is as it was",
    12: "the host is not as it was",
}


def show(error: LauncherError, options: argparse.Namespace) -> None:
    answer = getattr(options, "format", "json" if getattr(options, "json", False) else "text")
    if answer not in FORMATS:  # for people
        text = drawn(error.diagnostics, options.sources, sys.stderr)
        last = closing(error.diagnostics, _ending(error, options.verb), getattr(options, "spec", ""))
        print(f"{text}\n\n{more_about(error.diagnostics)}\n{last}", file=sys.stderr)
        annotate(error.diagnostics)
    else:
        print(FORMATS[answer](error))


def _ending(error: LauncherError, verb: str) -> str:
    words = ENDINGS.get(error.exit_code, "")
    return "" if verb in SILENT and words == UNCHANGED else words


def _json(error: LauncherError) -> str:
    """One line, because a verb may be writing JSON lines."""
    found = [one.as_json() for one in error.diagnostics]
    answer = {"format_version": "1.0", "vmlaunch": VERSION, "exit_code": error.exit_code, "diagnostics": found}
    return as_json(answer)


def _junit(error: LauncherError) -> str:
    from launcher.report.junit import as_junit

    return as_junit([("vmlaunch", error.diagnostics)], {})


FORMATS: dict[str, Callable[[LauncherError], str]] = {
    "json": _json,
    "github": lambda error: as_github(error.diagnostics),
    "sarif": lambda error: as_json(as_sarif(error.diagnostics), indent=2),
    "junit": _junit,
}
