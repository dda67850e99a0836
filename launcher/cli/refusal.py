"""A LauncherError in, its diagnostics on stderr, or with --json on stdout, out."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from launcher.cli.terminal import wants_colour
from launcher.report.diagnostics import as_text, closing
from launcher.version import VERSION

if TYPE_CHECKING:
    import argparse

    from launcher.errors import LauncherError

# exit code -> the last words about the host
ENDINGS = {
    1: "nothing was changed",
    4: "nothing was changed",
    10: "nothing was changed",
    11: "the host is as it was",
    12: "the host is not as it was",
}


def show(error: LauncherError, options: argparse.Namespace) -> None:
    if getattr(options, "json", False):
        print(_one_line(error))
        return
    text = as_text(error.diagnostics, options.sources, colour=wants_colour(sys.stderr))
    last = closing(error.diagnostics, ENDINGS.get(error.exit_code, ""))
    print(f"{text}\n\n{last}", file=sys.stderr)


def _one_line(error: LauncherError) -> str:
    """One line, because a verb may be writing JSON lines."""
    found = [one.as_json() for one in error.diagnostics]
    answer = {"format_version": "1.0", "vmlaunch": VERSION, "exit_code": error.exit_code, "diagnostics": found}
    return json.dumps(answer, ensure_ascii=False)
