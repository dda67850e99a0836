"""A stream in, the address of the page of codes out, where a terminal can be clicked; or nothing.

No page is on the web, so it is the file beside the package: of a checkout, or as an installation keeps it. A terminal
that knows no OSC 8 prints nothing of it, but for some that print all; so those that are known to have it get it, and
others with FORCE_HYPERLINK=1.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import quote

import launcher
from launcher.typed import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping

_FIRST_VTE = 5000  # 0.50, of GNOME Terminal 3.26
_SIGNS = ("KITTY_WINDOW_ID", "WT_SESSION", "KONSOLE_VERSION")
_PROGRAMS = ("iTerm.app", "WezTerm", "vscode", "ghostty", "WarpTerminal")
_TERMS = ("xterm-kitty", "xterm-ghostty", "alacritty", "foot", "contour", "wezterm")
_PLACES = (Path(launcher.__file__).parents[1] / "docs", Path(sys.prefix) / "share" / "doc" / "vmlaunch")


def page_of_codes(stream: TextIO, environment: Mapping[str, str] | None = None) -> str:
    known = os.environ if environment is None else environment
    if not stream.isatty() or not _has_links(known):
        return ""
    page = next((place / "errors.md" for place in _PLACES if (place / "errors.md").is_file()), None)
    return f"file://{quote(os.uname().nodename + str(page))}" if page else ""


def _has_links(known: Mapping[str, str]) -> bool:
    if forced := known.get("FORCE_HYPERLINK"):
        return forced != "0"
    vte, term = known.get("VTE_VERSION", ""), known.get("TERM", "")
    return (
        (vte.isdecimal() and int(vte) >= _FIRST_VTE)
        or any(known.get(sign) for sign in _SIGNS)
        or known.get("TERM_PROGRAM") in _PROGRAMS
        or term.startswith(_TERMS)
    )
