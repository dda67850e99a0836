"""A stream in; whether it wants colour (no-color.org, force-color.org) out, or diagnostics drawn for it."""

from __future__ import annotations

import os
import sys

from launcher.typed import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from launcher.errors import Diagnostic


def wants_colour(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    known = os.environ if environment is None else environment
    if known.get("NO_COLOR"):
        return False
    if known.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return known.get("TERM") != "dumb" and stream.isatty()


def can_redraw(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def annotate(diagnostics: Iterable[Diagnostic]) -> None:
    """Beside the text: jobs of GitHub Actions read workflow commands on either stream, and show them at their lines."""
    if os.environ.get("GITHUB_ACTIONS") == "true":
        from launcher.report.diagnostics import as_github

        print(as_github(diagnostics), file=sys.stderr)


def drawn(diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], stream: TextIO) -> str:
    """As text for this stream. `sources` are the texts they point into: `options.sources`."""
    from launcher.report.diagnostics import as_text
    from launcher.report.lines import columns_of

    if not stream.isatty():
        return as_text(diagnostics, sources, colour=wants_colour(stream))
    from launcher.cli.links import page_of_codes

    colour, width = wants_colour(stream), columns_of(stream)
    return as_text(diagnostics, sources, colour=colour, width=width, page=page_of_codes(stream))
