"""A user in; the folder of their state folders out."""

from __future__ import annotations

_STATE = "/run/vmlaunch"


def state_folder(uid: int, runtime_folder: str | None) -> str | None:
    """A relative XDG_RUNTIME_DIR is as good as none (XDG Base Directory Specification)."""
    if uid == 0:
        return _STATE
    return f"{runtime_folder.rstrip('/')}/vmlaunch" if runtime_folder and runtime_folder.startswith("/") else None
