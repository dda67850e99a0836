"""A path in, its text, link target or entries out; or Missing, which keeps absent and denied apart. Never writes."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from errno import EACCES, ENODEV, ENOENT, ENOTDIR, ENXIO, EPERM
from typing import TYPE_CHECKING, Literal, Protocol

from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping

Why = Literal["absent", "denied", "unreadable"]

_WHY: dict[int | None, Why] = {
    ENOENT: "absent",
    ENOTDIR: "absent",
    ENODEV: "absent",
    ENXIO: "absent",
    EACCES: "denied",
    EPERM: "denied",
}
_CHUNK = 1 << 16


class Tree(Protocol):
    """A machine's /sys and /proc, live or recorded. All paths are absolute."""

    def read_text(self, path: str) -> str | Missing:
        """The content without its last newline."""
        ...

    def read_link(self, path: str) -> str | Missing:
        """What the link says, as it says it."""
        ...

    def list_folder(self, path: str) -> tuple[str, ...] | Missing:
        """The names in it, sorted."""
        ...


class Live:
    """This machine."""

    def read_text(self, path: str) -> str | Missing:
        try:
            return _read(path).decode(errors="replace").removesuffix("\n")
        except OSError as error:
            return missing(error, path)

    def read_link(self, path: str) -> str | Missing:
        try:
            return os.readlink(path)
        except OSError as error:
            return missing(error, path)

    def list_folder(self, path: str) -> tuple[str, ...] | Missing:
        try:
            return tuple(sorted(os.listdir(path)))
        except OSError as error:
            return missing(error, path)


def missing(error: OSError, path: str) -> Missing:
    return Missing(_WHY.get(error.errno, "unreadable"), path)


def _read(path: str) -> bytes:
    """Without the buffers of open(): a survey reads hundreds of tiny files, and sysfs gives each in one piece."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        pieces = []
        while piece := os.read(descriptor, _CHUNK):
            pieces.append(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Recorded:
    """A machine written down: `texts`, `links`, and the paths that were `denied`. Folders follow from the paths."""

    texts: Mapping[str, str]
    links: Mapping[str, str] = field(default_factory=dict)
    denied: frozenset[str] = frozenset()

    def read_text(self, path: str) -> str | Missing:
        found = self.texts.get(path)
        return self._missing(path) if found is None else found.removesuffix("\n")

    def read_link(self, path: str) -> str | Missing:
        return self.links.get(path) or self._missing(path)

    def list_folder(self, path: str) -> tuple[str, ...] | Missing:
        inside = path.rstrip("/") + "/"
        paths = (*self.texts, *self.links, *self.denied)
        names = {one[len(inside) :].split("/")[0] for one in paths if one.startswith(inside)}
        return tuple(sorted(names)) if names and path not in self.denied else self._missing(path)

    def _missing(self, path: str) -> Missing:
        return Missing("denied" if path in self.denied else "absent", path)
