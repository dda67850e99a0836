"""The path of a spec or a saved plan in, its bytes out. `-` is stdin."""

from __future__ import annotations

import os
import sys

from launcher.errors import Diagnostic, NotPermitted, Refused, Where

LIMIT = 1 << 20
_CORRECT = "name a file that is there: a path is relative to the working directory"


def read_bytes(path: str) -> bytes:
    try:
        raw = _read(path)
    except PermissionError:
        raise NotPermitted(Diagnostic("E017", "failed to read the file: permission denied", Where(path))) from None
    except (OSError, ValueError) as error:
        cause = (error.strerror if isinstance(error, OSError) else None) or "not a path"
        what = f"failed to read the file: {cause.lower()}"
        raise Refused(Diagnostic("E015", what, Where(path), help=(_CORRECT,))) from None
    if len(raw) > LIMIT:
        raise Refused(Diagnostic("E014", "the file is larger than 1 MiB", Where(path), help=("a spec is one VM",)))
    return raw


def beside(folder: str, path: str) -> str:
    """The whole path; without `..` where it leads to the same folder, which it does not behind some links."""
    whole = "/" + "/".join(one for one in os.path.join(folder, path).split("/") if one not in ("", "."))
    plain = os.path.normpath(whole)
    if plain == whole or os.path.basename(plain) != os.path.basename(whole):
        return whole
    try:
        return plain if os.path.samefile(os.path.dirname(plain), os.path.dirname(whole)) else whole
    except (OSError, ValueError):
        return whole


def _read(path: str) -> bytes:
    """One byte too many is enough to know, also from a pipe that does not end."""
    if path == "-":
        return sys.stdin.buffer.read(LIMIT + 1)
    with open(path, "rb") as file:
        return file.read(LIMIT + 1)
