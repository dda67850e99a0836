"""A path and a text in, the file whole out. It replaces nothing but what the same option has made before."""

from __future__ import annotations

import os
import stat
from contextlib import suppress

from launcher.errors import Diagnostic, Refused, Where

PLAN, PICTURE = "a saved plan", "an SVG picture"
_KEYS_OF_A_PLAN = {"format_version", "steps", "assumes"}
_NAMES = {PLAN: "the plan", PICTURE: "the picture"}


def check_target(path: str, kind: str) -> None:
    """A spec, a kernel or a facts file is easily named by mistake, and would be gone."""
    try:
        status = os.stat(path)
        ours = stat.S_ISREG(status.st_mode) and (status.st_size == 0 or _holds(path, kind))
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise _not_saved(path, kind, error) from None
    if not ours:
        help_ = ("name another file, or remove this one first",)
        raise Refused(Diagnostic("E298", f"{path} is there already and is not {kind}", Where(path), help=help_))


def check_apart(plan: str | None, picture: str | None) -> None:
    if plan and picture and os.path.realpath(plan) == os.path.realpath(picture):
        help_ = ("name two files",)
        raise Refused(Diagnostic("E298", f"-o and --svg both name {plan}", Where(plan), help=help_))


def write_whole(path: str, text: str, kind: str) -> None:
    """Or not at all: a reader of `path` never sees half of it."""
    draft = f"{path}.{os.getpid()}.tmp"
    try:
        with open(draft, "x", encoding="utf-8") as file:  # in /tmp others may have made a link there
            file.write(text)
        os.replace(draft, path)
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            os.unlink(draft)
        raise _not_saved(path, kind, error) from None


def _not_saved(path: str, kind: str, error: OSError | ValueError) -> Refused:
    cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
    help_ = ("name a file in a folder where you may write, with room for it",)
    return Refused(Diagnostic("E295", f"failed to save {_NAMES[kind]}: {cause.lower()}", Where(path), help=help_))


def _holds(path: str, kind: str) -> bool:
    with open(path, "rb") as file:
        start = file.read(4096)
        if kind == PICTURE:
            return start.lstrip().startswith(b"<") and b"<svg" in start
        return start.lstrip().startswith(b"{") and _is_plan(start + file.read())


def _is_plan(raw: bytes) -> bool:
    """Of any version, and also one that no longer decodes; a report has steps, too, but assumes nothing."""
    from launcher.json_text import loads

    try:
        found = loads(raw)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and found.keys() >= _KEYS_OF_A_PLAN


def write_new(path: str, text: str) -> None:
    """A spec, where no file is yet."""
    made = False
    try:
        with open(path, "x", encoding="utf-8") as file:
            made = True
            file.write(text)
    except FileExistsError:
        help_ = ("name another file, or remove this one first",)
        raise Refused(Diagnostic("E028", f"{path} is there already", Where(path), help=help_)) from None
    except (OSError, ValueError) as error:
        if made:
            with suppress(OSError):
                os.unlink(path)
        cause = (error.strerror if isinstance(error, OSError) else None) or str(error)
        help_ = ("name a file in a folder where you may write, with room for it",)
        raise Refused(
            Diagnostic("E028", f"failed to write the spec: {cause.lower()}", Where(path), help=help_)
        ) from None
