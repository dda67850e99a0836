"""A facts file in, or a folder of them; each host that can be read out, and in its place why one could not."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from launcher.api.hosts import recorded_host
from launcher.errors import Diagnostic, LauncherError, Refused, Where

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts

ENDING = ".json"


def recorded_hosts(path: str) -> Iterator[HostFacts | LauncherError]:
    """By the names of the files; a host that has come already is refused."""
    seen: dict[str, str] = {}
    for file in _files(path):
        try:
            host = recorded_host(file)
        except LauncherError as error:
            yield error
            continue
        if other := seen.get(host.name):
            fact = f"{host.name} has two facts files: {other} is the other one"
            yield Refused(Diagnostic("E582", fact, Where(file), help=("delete the older one",)))
            continue
        seen[host.name] = file
        yield host


def _files(path: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    try:
        names = sorted(one for one in os.listdir(path) if one.endswith(ENDING) and not one.startswith("."))
    except OSError as error:
        raise Refused(Diagnostic("E293", f"failed to read the folder: {error.strerror}", Where(path))) from None
    if not names:
        help_ = (f"on each host: `vmlaunch devices --json > {path.rstrip('/')}/$(hostname).json`",)
        raise Refused(Diagnostic("E293", "there is no facts file in this folder", Where(path), help=help_))
    return [os.path.join(path, one) for one in names]
