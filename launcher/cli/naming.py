"""What a user types for a VM or a duration in, the name or seconds out."""

from __future__ import annotations

import os
import re
from pathlib import Path

from launcher.errors import Diagnostic, Refused

_LIST = "`vmlaunch ps -a` lists them"
UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0}


def state_root() -> Path | None:
    """The folder of this user's state folders. None: not root, and XDG_RUNTIME_DIR is not set."""
    from launcher.host.process import state_folder

    found = state_folder(os.geteuid(), os.environ.get("XDG_RUNTIME_DIR"))
    return Path(found) if found else None


def name_of(text: str, sources: dict[str, str]) -> str:
    """A path to a spec (it has a slash or ends in .yaml or .yml) stands for the name it would run under."""
    if "/" not in text and text != "-" and not text.endswith((".yaml", ".yml")):
        if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", text):
            raise Refused(Diagnostic("E518", f"{text!r} is not the name of a VM", help=(_LIST,)))
        return text
    from launcher.cli.reading import read_spec

    return read_spec(text, (), sources).spec.name


def seconds(text: str) -> float:
    """`30s`, `500ms`, `2m`, `30`. Refused otherwise."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|)", text)
    if match is None:
        raise Refused(Diagnostic("E517", f"{text!r} is not a duration", help=("write it as 30s, 500ms or 2m",)))
    return float(match[1]) * UNITS[match[2]]
