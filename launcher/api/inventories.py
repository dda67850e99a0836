"""A folder of facts files, one file, or a file of a host in each line, in; every host out, or why it is none.

One bad file does not stop the others. Nothing is kept: a hundred thousand hosts take no more memory than one.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from importlib import import_module

from launcher.api.hosts import facts_in
from launcher.errors import Diagnostic, Refused, Where
from launcher.record import record
from launcher.typed import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts

ENDING = ".json"
_ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1
_SHOWN = 3
_WAY = "name a folder with facts files (*.json, by `vmlaunch devices --json`), or a file with a host in each line"


@record
class Source:
    """Where the facts of a host are. `line` of a file that has one in each, which begins at `offset`; else 0."""

    path: str
    line: int = 0
    offset: int = 0

    def __str__(self) -> str:
        return f"{self.path}:{self.line}" if self.line else self.path

    @property
    def where(self) -> Where:
        return Where(self.path, self.line, 1 if self.line else 0)


def hosts_in(path: str) -> Iterator[tuple[Source, HostFacts | Refused]]:
    """In the order of their names, or of the lines. Refused: there is no host at all."""
    for source, raw in texts_in(path):
        yield source, raw if isinstance(raw, Refused) else _facts(raw, source)


def texts_in(path: str, part: int = 0, parts: int = 1) -> Iterator[tuple[Source, bytes | Refused]]:
    """Every one, or the `part` of so many `parts`, as it is written."""
    if os.path.isdir(path):
        for file in _files(path)[part::parts]:
            yield Source(file), _text(file)
        return
    try:
        yield from _lines(path, part, parts)
    except _damage() as error:
        raise Refused(Diagnostic("E293", f"failed to unpack the hosts: {error}", Where(path), help=(_WAY,))) from None


def text_at(source: Source) -> bytes:
    """Again."""
    with _opened(source.path) as file:
        file.seek(source.offset)
        return file.readline() if source.line else file.read()


def facts_at(raw: bytes, source: Source) -> HostFacts:
    """Refused at its place."""
    return facts_in(raw, source.where)


def _facts(raw: bytes, source: Source) -> HostFacts | Refused:
    try:
        return facts_at(raw, source)
    except Refused as refused:
        return refused


def _files(folder: str) -> list[str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        fact = f"failed to read the folder of facts files: {error.strerror}"
        raise Refused(Diagnostic("E293", fact, Where(folder))) from None
    found = [os.path.join(folder, name) for name in names if name.endswith(ENDING) and not name.startswith(".")]
    if not found:
        seen = [name for name in names if not name.startswith(".")]
        more = f" and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
        there = f"it has {', '.join(seen[:_SHOWN])}{more}" if seen else "it is empty"
        fact = f"there is no facts file in this folder: {there}"
        raise Refused(Diagnostic("E573", fact, Where(folder), help=(_WAY,)))
    return found


def _text(path: str) -> bytes | Refused:
    try:
        with _regular(path) as file:
            return file.read()
    except OSError as error:
        return Refused(Diagnostic("E293", f"failed to read the facts file: {error.strerror}", Where(path)))


def _regular(path: str) -> IO[bytes]:
    """None but a regular file is read: a FIFO waits for its writer, and a pipe is read once."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return open(descriptor, "rb")


def _lines(path: str, part: int, parts: int) -> Iterator[tuple[Source, bytes | Refused]]:
    """A facts file as `devices --json` writes it is one host: its first line is a brace. So is what is no JSON."""
    with _opened(path) as file:
        first = file.readline()
        if _begins_one(first.strip()):
            if part == 0:
                yield Source(path), first + file.read()
            return
        yield from _numbered(path, file, first, part, parts)


def _begins_one(line: bytes) -> bool:
    return line == b"{" or (line != b"" and not line.startswith(b"{"))


def _numbered(path: str, file: IO[bytes], first: bytes, part: int, parts: int) -> Iterator[tuple[Source, bytes]]:
    line, offset, number, hosts = first, 0, 1, 0
    while line:
        if line.strip():
            if hosts % parts == part:
                yield Source(path, number, offset), line
            hosts += 1
        offset, number = offset + len(line), number + 1
        line = file.readline()
    if not hosts:
        raise Refused(Diagnostic("E573", "there is no host in this file: it is empty", Where(path), help=(_WAY,)))


def _opened(path: str) -> IO[bytes]:
    try:
        file = _regular(path)
        start = file.read(len(_ZSTD))
        file.seek(0)
    except OSError as error:
        fact = f"failed to read the hosts: {error.strerror}"
        raise Refused(Diagnostic("E293", fact, Where(path), help=(_WAY,))) from None
    return _unpacked(path, file) if start == _ZSTD else file


def _unpacked(path: str, file: IO[bytes]) -> IO[bytes]:
    try:
        zstd: Any = import_module("compression.zstd")  # since Python 3.14
    except ImportError:
        file.close()
        fact = "the file is compressed by zstd, which this Python has not (3.14 and later have it)"
        help_ = (f"unpack it: `zstd -d {path}`",)
        raise Refused(Diagnostic("E574", fact, Where(path), help=help_)) from None
    unpacked: IO[bytes] = zstd.ZstdFile(file)
    return unpacked


def _damage() -> tuple[type[Exception], ...]:
    """What reading such a file raises when it is cut or not what it says."""
    zstd: Any = sys.modules.get("compression.zstd")
    return (EOFError, zstd.ZstdError) if zstd else ()
