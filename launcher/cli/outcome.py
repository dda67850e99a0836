"""A deed of a verb in, the exit code of its process out, whatever comes; refusals and bugs are said on stderr."""

from __future__ import annotations

import errno
import os
import sys

TYPE_CHECKING = False  # `typing` would be a quarter of `vmlaunch --help`, and `contextlib` a tenth
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable
    from typing import NoReturn, TypeGuard

    from launcher.errors import LauncherError

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
REFUSED, OUR_BUG, UNWRITTEN, INTERRUPTED, PIPE_CLOSED = 1, 70, 74, 130, 141
LOOKING = ("plan", "place", "validate", "devices", "doctor")  # they take a moment, and change nothing


def exit_code_of(deed: Callable[[], int], options: argparse.Namespace) -> int:
    """In a process that a verb has forked: it ends as the verb's own would."""
    return survive(lambda: refusing(deed, options))


def survive(deed: Callable[[], int]) -> int:
    """The exit code of the process, whatever comes."""
    try:
        code = deed()
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _forget_stdout()
        return PIPE_CLOSED
    except Exception as error:  # the one place for it: what gets here is a bug of ours
        if is_unwritable(error):
            return _tell_unwritable(error)
        return REFUSED if _tell_refused(error) else _our_bug()
    return code


def leave(code: int) -> NoReturn:
    """What this process has is the kernel's to free: an interpreter that tidies up takes a third of its start."""
    for stream in (sys.stdout, sys.stderr):
        try:  # noqa: SIM105
            stream.flush()
        except (OSError, ValueError, AttributeError):  # `survive` has told it, nobody is left to tell, or there is none
            pass
    os._exit(code)


def refusing(deed: Callable[[], int], options: argparse.Namespace) -> int:
    """What is refused is shown."""
    try:
        return deed()
    except KeyboardInterrupt:
        if options.verb in LOOKING:
            tell_interrupted(f"`{options.verb}` was")
        raise
    except Exception as error:
        found = _refused(error, options.verb)
        if found is None:
            raise
    from launcher.cli.error_output import show

    show(found, options)
    return found.exit_code


def _refused(error: Exception, verb: str) -> LauncherError | None:
    """None: a bug, or nobody is left who reads what is said."""
    from launcher.errors import LauncherError, Refused
    from launcher.refusals import in_words, refusal_of

    if isinstance(error, LauncherError):
        return error
    refused = refusal_of(error)
    if refused is not None:
        unread = isinstance(error, BrokenPipeError) or is_unwritable(error)
        return None if unread else Refused(in_words(f"carry out `{verb}`", refused))
    return _of_another_version(error) if isinstance(error, ValueError) else None


def tell_interrupted(what: str) -> None:
    print(f"vmlaunch: {what} interrupted; nothing was changed", file=sys.stderr)


def _of_another_version(error: ValueError) -> LauncherError | None:
    """A keeper, or what it left, may be."""
    from launcher.codec import DecodeError
    from launcher.errors import Diagnostic, Refused

    if not isinstance(error, DecodeError):
        return None
    help_ = ("use the vmlaunch that started the VM, or end it: `vmlaunch down --kill NAME`",)
    fact = f"what the VM's keeper says is of another version of vmlaunch: {error}"
    return Refused(Diagnostic("E515", fact, help=help_))


def is_unwritable(error: Exception) -> TypeGuard[OSError]:
    """What stdout or stderr leads to is full, or a terminal that has gone: no bug, and nobody else names no file."""
    return isinstance(error, OSError) and error.errno in UNWRITABLE and error.filename is None


def _forget_stdout() -> None:
    """So that Python's own flush at exit does not complain about the closed pipe."""
    try:  # noqa: SIM105
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    except OSError:
        pass


def _tell_unwritable(error: OSError) -> int:
    _forget_stdout()
    try:
        print(f"vmlaunch: failed to write the output: {error.strerror}", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(1, 2)
    return UNWRITTEN


def _tell_refused(error: Exception) -> bool:
    """By the host, before there was a verb to say it, or again while that was to be said."""
    try:
        from launcher.refusals import in_words, refusal_of

        refused = refusal_of(error)
        text = "" if refused is None else in_words("run vmlaunch", refused).message
    except (OSError, MemoryError, ImportError):  # not even the words can be read
        text = f"failed to run vmlaunch: {error}"
    if text:
        try:  # noqa: SIM105
            print(f"error[E552]: {text}", file=sys.stderr, flush=True)
        except OSError:
            pass
    return bool(text)


def _our_bug() -> int:
    try:
        import traceback

        from launcher.report.escapes import escaped
        from launcher.version import VERSION

        print(escaped(traceback.format_exc()), end="", file=sys.stderr)
    except (OSError, MemoryError, ImportError) as error:  # there is no memory to say it; nor was there before
        return REFUSED if _tell_refused(error) else OUR_BUG
    print(f"\nvmlaunch {VERSION}: this is a bug of vmlaunch; please report it with the lines above.", file=sys.stderr)
    return OUR_BUG
