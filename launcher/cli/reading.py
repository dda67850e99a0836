"""The path of a spec in, the loaded spec out; its text is kept for code frames. `-` is stdin."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

from launcher.errors import Diagnostic, NotPermitted, Refused, Where

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.spec.load import Loaded

LIMIT = 1 << 20


def read_spec(path: str, sets: Sequence[str], sources: dict[str, str]) -> Loaded:
    """Pass `options.sources`: whatever is refused later can then be drawn in the text it came from."""
    return load_bytes(read_bytes(path), path, sets, sources)


def load_bytes(raw: bytes, path: str, sets: Sequence[str], sources: dict[str, str]) -> Loaded:
    """For `up`, which has to look into the file to tell a spec from a plan."""
    from launcher.spec.load import load_spec
    from launcher.spec.sets import set_name

    sources[path] = raw.decode("utf-8-sig", "replace")
    sources |= {set_name(number): text for number, text in enumerate(sets, 1)}
    return load_spec(raw, path, sets=sets, name=None if path == "-" else PurePath(path).stem)


def read_bytes(path: str) -> bytes:
    try:
        raw = _read(path)
    except PermissionError:
        raise NotPermitted(Diagnostic("E017", "failed to read the file: permission denied", Where(path))) from None
    except (OSError, ValueError) as error:
        cause = (error.strerror if isinstance(error, OSError) else None) or "not a path"
        raise Refused(Diagnostic("E015", f"failed to read the file: {cause.lower()}", Where(path))) from None
    if len(raw) > LIMIT:
        raise Refused(Diagnostic("E014", "the file is larger than 1 MiB", Where(path), help=("a spec is one VM",)))
    return raw


def _read(path: str) -> bytes:
    """One byte too many is enough to know, also from a pipe that does not end."""
    if path == "-":
        return sys.stdin.buffer.read(LIMIT + 1)
    with open(path, "rb") as file:
        return file.read(LIMIT + 1)
