"""What VMs are called, and where the state of a user's VMs is. Pure, and imports nothing: `ps` asks it."""

from __future__ import annotations

LONGEST = 63
_FIRST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_SIGNS = _FIRST | {"-"}


def is_name(text: str) -> bool:
    """Of a VM: it is a part of paths, and what people type."""
    return 0 < len(text) <= LONGEST and text[0] in _FIRST and _SIGNS.issuperset(text)


def state_folder(uid: int, runtime_folder: str | None) -> str | None:
    """Where the VMs of a user have theirs. A relative XDG_RUNTIME_DIR is as good as none (XDG Base Directory)."""
    if uid == 0:
        return "/run/vmlaunch"
    return f"{runtime_folder.rstrip('/')}/vmlaunch" if runtime_folder and runtime_folder.startswith("/") else None
