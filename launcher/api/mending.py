"""The path of a spec in, its text with all fixes out, and the file written over with it: whole, or not at all."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager, suppress

from launcher.api.files import read_bytes
from launcher.errors import Diagnostic, LauncherError, Refused, Where
from launcher.record import record
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.spec.mending import Fixed

_MARK = "\ufeff"


@record
class Mended:
    """The file as it was and as it is to be. Both are the same where nothing can be mended."""

    path: str
    before: bytes
    after: bytes
    fixed: tuple[Fixed, ...] = ()


def mended_file(path: str) -> Mended:
    """Reads only. What is no text is as it was: `read_spec` says what is wrong with it."""
    from launcher.api.plans import load
    from launcher.spec.mending import mended

    raw = read_bytes(path)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return Mended(path, raw, raw)
    mark = _MARK if text.startswith(_MARK) else ""

    def judge(candidate: str) -> tuple[Diagnostic, ...]:
        try:
            load(candidate.encode("utf-8", "surrogatepass"), path)
        except LauncherError as refusal:
            return refusal.diagnostics
        return ()

    whole, fixed = mended(text.removeprefix(mark), judge)
    return Mended(path, raw, (mark + whole).encode("utf-8", "surrogatepass") if fixed else raw, fixed)


def write_over(one: Mended) -> None:
    """The file behind a link, with its owner and mode. Nobody reads half of it, and nobody's change is lost."""
    target = os.path.realpath(one.path)
    try:
        status = os.stat(target)
        if not stat.S_ISREG(status.st_mode):
            raise _not_written(one.path, "it is not a regular file")
        with _draft(target, one.after, status) as draft:
            if read_bytes(target) != one.before:
                raise _not_written(one.path, "somebody else has changed it meanwhile")
            os.replace(draft, target)
    except OSError as error:
        raise _not_written(one.path, (error.strerror or "").lower()) from None


@contextmanager
def _draft(target: str, content: bytes, like: os.stat_result) -> Iterator[str]:
    """Beside it, and gone afterwards. Nobody else reads it before it has the mode of `target`; what is there already is
    somebody else's, and stays."""
    path = f"{target}.{os.getpid()}.tmp"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _fill(descriptor, content, like)
        yield path
    finally:
        with suppress(OSError):
            os.unlink(path)


def _fill(descriptor: int, content: bytes, like: os.stat_result) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
            os.fchown(file.fileno(), like.st_uid, like.st_gid)
        os.fchmod(file.fileno(), stat.S_IMODE(like.st_mode))
        os.fsync(file.fileno())


def _not_written(path: str, cause: str) -> Refused:
    help_ = ("`--diff` shows what would be written", "the file is as it was")
    return Refused(Diagnostic("E023", f"failed to write the spec: {cause}", Where(path), help=help_))
