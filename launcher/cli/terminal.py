"""A stream and the environment in, whether to use colour on it out (no-color.org, force-color.org)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Mapping


def wants_colour(stream: TextIO, environment: Mapping[str, str] | None = None) -> bool:
    known = os.environ if environment is None else environment
    if known.get("NO_COLOR"):
        return False
    if known.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return known.get("TERM") != "dumb" and stream.isatty()
