"""What a user types for a VM or a duration in; the name, the state folder or seconds out."""

from __future__ import annotations

import os
import re

from launcher.errors import Diagnostic, Refused, WrongUsage
from launcher.names import is_name
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LIST = "`vmlaunch ps -a` lists them"
UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0}


def name_of(text: str, sources: dict[str, str]) -> str:
    """What is no name is the path of a spec or a saved plan and stands for the name it runs under."""
    if is_name(text):
        return text
    if "/" not in text and text != "-" and not text.endswith((".yaml", ".yml")) and not os.path.exists(text):
        raise Refused(Diagnostic("E518", f"{text!r} is not the name of a VM", help=(_LIST,)))
    from launcher.api.files import read_bytes
    from launcher.api.plans import decode_plan, is_saved_plan
    from launcher.cli.given import load_bytes

    raw = read_bytes(text)
    return decode_plan(raw, text).name if is_saved_plan(raw) else load_bytes(raw, text, (), sources).spec.name


def folder_of(text: str, sources: dict[str, str]) -> Path:
    """Of a VM that is up, or has ended and left something."""
    from launcher.api import folders

    return folders.folder_of(name_of(text, sources))


def seconds(text: str) -> float:
    """`30s`, `500ms`, `2m`, `30`. Refused otherwise."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|)", text)
    if match is None:
        raise WrongUsage(Diagnostic("E517", f"{text!r} is not a duration", help=("write it as 30s, 500ms or 2m",)))
    return float(match[1]) * UNITS[match[2]]
