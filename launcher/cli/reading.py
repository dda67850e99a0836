"""The path of a spec in, the loaded spec out; its text is kept for code frames. `-` is stdin."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from launcher.api.files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.spec.load import Loaded


def read_spec(path: str, sets: Sequence[str], sources: dict[str, str]) -> Loaded:
    """Pass `options.sources`: whatever is refused later can then be drawn in the text it came from."""
    return load_bytes(read_bytes(path), path, sets, sources)


def load_bytes(raw: bytes, path: str, sets: Sequence[str], sources: dict[str, str]) -> Loaded:
    """For who has looked into the file already, to tell a spec from a saved plan."""
    without_plugins()
    from launcher.api.plans import load
    from launcher.spec.sets import set_name

    sources[path] = raw.decode("utf-8-sig", "replace")
    sources |= {set_name(number): text for number, text in enumerate(sets, 1)}
    return load(raw, path, sets)


def without_plugins() -> None:
    """A command has no use for plugins of pydantic, and looking for them reads the metadata of all packages."""
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
