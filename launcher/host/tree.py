"""A path in, its text, bytes, link target, entries or status out; or Missing, which keeps absent and denied apart.

Never writes, and opens no device node.
"""

from __future__ import annotations

import os
import stat

from launcher.record import record
from launcher.typed import TYPE_CHECKING, Literal, Protocol
from launcher.values import Missing, missing

if TYPE_CHECKING:
    from collections.abc import Mapping

_CHUNK = 1 << 16
_KINDS: dict[int, Literal["char", "block"]] = {stat.S_IFCHR: "char", stat.S_IFBLK: "block"}


@record
class Status:
    """What stat says of a file. `number` is major:minor of a device node."""

    kind: Literal["char", "block", "other"]
    mode: int  # permission bits
    uid: int
    gid: int
    number: str = "0:0"
    access_list: bytes = b""  # system.posix_acl_access of a device node, empty without one


class Tree(Protocol):
    """A machine's /sys and /proc, live or recorded. All paths are absolute."""

    def read_text(self, path: str) -> str | Missing:
        """The content without its last newline."""
        ...

    def read_bytes(self, path: str, offset: int = 0, size: int | None = None) -> bytes | Missing:
        """At most `size` bytes from `offset` on."""
        ...

    def read_link(self, path: str) -> str | Missing:
        """What the link says, as it says it."""
        ...

    def list_folder(self, path: str) -> tuple[str, ...] | Missing:
        """The names in it, sorted."""
        ...

    def status(self, path: str) -> Status | Missing:
        """Follows links, opens nothing."""
        ...


class Live:
    """This machine."""

    def read_text(self, path: str) -> str | Missing:
        try:
            return _read(path).decode(errors="replace").removesuffix("\n")
        except OSError as error:
            return missing(error, path)

    def read_bytes(self, path: str, offset: int = 0, size: int | None = None) -> bytes | Missing:
        try:
            return _read(path, offset, size)
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

    def status(self, path: str) -> Status | Missing:
        try:
            found = os.stat(path)
        except OSError as error:
            return missing(error, path)
        kind = _KINDS.get(stat.S_IFMT(found.st_mode))
        mode = stat.S_IMODE(found.st_mode)
        if kind is None:
            return Status("other", mode, found.st_uid, found.st_gid)
        number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
        return Status(kind, mode, found.st_uid, found.st_gid, number, _access_list(path))


def _read(path: str, offset: int = 0, size: int | None = None) -> bytes:
    """Without the buffers of open(): a survey reads hundreds of tiny files, and sysfs gives each in one piece."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if offset:
            os.lseek(descriptor, offset, os.SEEK_SET)
        pieces: list[bytes] = []
        left = _CHUNK if size is None else size
        while left and (piece := os.read(descriptor, left)):
            pieces.append(piece)
            left = _CHUNK if size is None else left - len(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def _access_list(path: str) -> bytes:
    try:
        return os.getxattr(path, "system.posix_acl_access")
    except OSError:
        return b""


class Recorded:
    """A machine written down: `texts`, `blobs` of bytes, `links`, `nodes`, and the paths that were `denied`.

    Folders follow from the paths.
    """

    def __init__(
        self,
        texts: Mapping[str, str],
        links: Mapping[str, str] | None = None,
        denied: frozenset[str] = frozenset(),
        blobs: Mapping[str, bytes] | None = None,
        nodes: Mapping[str, Status] | None = None,
    ) -> None:
        self.texts, self.links, self.denied = texts, links or {}, denied
        self.blobs, self.nodes = blobs or {}, nodes or {}
        self._folders: dict[str, set[str]] = {}
        for path in (*self.texts, *self.links, *self.denied, *self.blobs, *self.nodes):
            rest = path
            while rest:
                rest, _, name = rest.rpartition("/")
                self._folders.setdefault(rest or "/", set()).add(name)

    def read_text(self, path: str) -> str | Missing:
        found = self.texts.get(path)
        return self._missing(path) if found is None else found.removesuffix("\n")

    def read_bytes(self, path: str, offset: int = 0, size: int | None = None) -> bytes | Missing:
        text = self.texts.get(path)
        found = self.blobs.get(path) if text is None else text.encode()
        if found is None:
            return self._missing(path)
        return found[offset:] if size is None else found[offset : offset + size]

    def read_link(self, path: str) -> str | Missing:
        return self.links.get(path) or self._missing(path)

    def list_folder(self, path: str) -> tuple[str, ...] | Missing:
        names = self._folders.get(path.rstrip("/") or "/")
        return tuple(sorted(names)) if names and path not in self.denied else self._missing(path)

    def status(self, path: str) -> Status | Missing:
        path = self.links.get(path, path)
        if path in self.nodes:
            return self.nodes[path]
        there = path in self.texts or path in self.blobs or path in self._folders
        return Status("other", 0o755, 0, 0) if there and path not in self.denied else self._missing(path)

    def _missing(self, path: str) -> Missing:
        return Missing("denied" if path in self.denied else "absent", path)
