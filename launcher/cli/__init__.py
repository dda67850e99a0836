"""argv in, exit code out. Only the module of the verb in hand is imported; `--help` needs none of them."""

from __future__ import annotations

import errno
import gc
import os
import sys
from contextlib import suppress
from importlib import import_module

from launcher.version import VERSION

TYPE_CHECKING = False  # `typing` would be a quarter of `vmlaunch --help`
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import Any, TypeGuard

    from launcher.errors import Diagnostic

# verb -> (its module in this folder, what it does). The order is that of `vmlaunch --help`.
# A verb's module has `arguments(parser)` and `run(options) -> exit code`, and imports what is heavy inside `run`.
VERBS = {
    "plan": ("plan", "resolve a spec against a host and show what `up` would do"),
    "up": ("up", "run a spec or a saved plan"),
    "down": ("down", "stop a VM and put the host back"),
    "ps": ("ps", "list VMs"),
    "inspect": ("inspect", "show the report of a VM as it is now, or as it ended"),
    "logs": ("logs", "print what a guest has said on its serial console"),
    "console": ("console", "attach to the serial console of a VM that is up"),
    "devices": ("devices", "list the PCI devices of this host; --json writes the facts file"),
    "doctor": ("doctor", "say whether this host can run VMs with devices, and what to do if not"),
    "validate": ("validate", "check specs, on any machine"),
    "explain": ("explain", "explain a field of the spec or a code"),
    "schema": ("schema", "print a JSON Schema"),
    "completion": ("completion", "print a completion script for a shell"),
}

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
REFUSED, USAGE, OUR_BUG, INTERRUPTED, PIPE_CLOSED = 1, 2, 70, 130, 141


def command() -> int:
    """The whole of a process. It is over before there is garbage that is worth a look; who stays on looks again."""
    gc.disable()
    return main()


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    return _survive(lambda: _begin(words))


def _begin(words: list[str]) -> int:
    _open_streams()
    _print_anything()
    return _dispatch(words)


def _survive(deed: Callable[[], int]) -> int:
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


def _dispatch(words: list[str]) -> int:
    first, *rest = words or [""]
    if first in ("-h", "--help"):
        print(overview())
        return 0
    if first in ("-V", "--version"):
        print(f"vmlaunch {VERSION}")
        return 0
    if first in VERBS:
        return _run(first, rest)
    print(_unknown(first) if first else overview(), file=sys.stderr)
    return USAGE


def _run(verb: str, words: list[str]) -> int:
    module = verb_module(verb)
    try:
        options = verb_parser(verb, module).parse_intermixed_args(words)
    except SystemExit as leaving:  # argparse has printed help or what is wrong
        return leaving.code if isinstance(leaving.code, int) else USAGE
    options.verb = verb
    options.sources = {}  # file name -> text; read_spec fills it, so that any error can be drawn in its file
    return _refusing(lambda: module.run(options), options)


def _refusing(deed: Callable[[], int], options: argparse.Namespace) -> int:
    """What is refused is shown."""
    from launcher.errors import LauncherError, Refused
    from launcher.refusals import REFUSALS, in_words, refusal_of

    try:
        return deed()
    except LauncherError as error:
        found = error
    except REFUSALS as error:
        refused = refusal_of(error)
        if refused is None or isinstance(error, BrokenPipeError) or is_unwritable(error):
            raise
        found = Refused(in_words(f"carry out `{options.verb}`", refused))
    except ValueError as error:
        found = Refused(_of_another_version(error))
    from launcher.cli.refusal import show

    show(found, options)
    return found.exit_code


def _of_another_version(error: ValueError) -> Diagnostic:
    """A keeper, or what it left, may be."""
    from launcher.codec import DecodeError
    from launcher.errors import Diagnostic

    if not isinstance(error, DecodeError):
        raise error
    help_ = ("use the vmlaunch that started the VM, or end it: `vmlaunch down --kill NAME`",)
    return Diagnostic("E515", f"what the VM's keeper says is of another version of vmlaunch: {error}", help=help_)


def exit_code_of(deed: Callable[[], int], options: argparse.Namespace) -> int:
    """In a process that a verb has forked: it ends as the verb's own would."""
    return _survive(lambda: _refusing(deed, options))


def verb_module(verb: str) -> Any:
    return import_module(f"{__name__}.{VERBS[verb][0]}")


def verb_parser(verb: str, module: Any) -> argparse.ArgumentParser:
    import argparse

    about = f"{VERBS[verb][1]}."
    parser = argparse.ArgumentParser(
        f"vmlaunch {verb}", description=about, allow_abbrev=False, formatter_class=_formatter
    )
    module.arguments(parser)
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Told the width: to find it, argparse would import what opens archives."""
    import argparse

    from launcher.report.lines import width_of

    return argparse.HelpFormatter(prog, width=width_of(sys.stdout) - 2)


def overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {about}" for verb, (_, about) in VERBS.items())
    return (
        "usage: vmlaunch VERB ...\n\n"
        "Declarative launcher for KVM virtual machines that own real PCI devices.\n\n"
        f"{verbs}\n\n"
        "`vmlaunch VERB --help` says more; so does `vmlaunch explain`."
    )


def _unknown(word: str) -> str:
    from difflib import get_close_matches

    from launcher.report.frame import visible

    near = "".join(f"; did you mean `{one}`?" for one in get_close_matches(word, VERBS, 1))
    return f"vmlaunch: no such verb: {visible(word)}{near}\nverbs: {', '.join(VERBS)}"


def _open_streams() -> None:
    """Who closed stdin, stdout or stderr gets /dev/null there: no other descriptor may take their numbers."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(fd)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - as long as we live


def _print_anything() -> None:
    """A file name that is not text, or a terminal that has no such letter, does not end the run."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def _forget_stdout() -> None:
    """So that Python's own flush at exit does not complain about the closed pipe."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def is_unwritable(error: Exception) -> TypeGuard[OSError]:
    """What stdout or stderr leads to is full, or a terminal that has gone: no bug, and nobody else names no file."""
    return isinstance(error, OSError) and error.errno in UNWRITABLE and error.filename is None


def _tell_unwritable(error: OSError) -> int:
    _forget_stdout()
    try:
        print(f"vmlaunch: failed to write the output: {error.strerror}", file=sys.stderr, flush=True)
    except OSError:
        os.dup2(1, 2)
    return PIPE_CLOSED


def _tell_refused(error: Exception) -> bool:
    """By the host, before there was a verb to say it, or again while that was to be said."""
    try:
        from launcher.refusals import in_words, refusal_of

        refused = refusal_of(error)
        text = "" if refused is None else in_words("run vmlaunch", refused).message
    except (OSError, MemoryError, ImportError):  # not even the words can be read
        text = f"failed to run vmlaunch: {error}"
    if text:
        with suppress(OSError):
            print(f"error[E552]: {text}", file=sys.stderr, flush=True)
    return bool(text)


def _our_bug() -> int:
    try:
        import traceback

        from launcher.report.escapes import escaped

        print(escaped(traceback.format_exc()), end="", file=sys.stderr)
    except (OSError, MemoryError, ImportError) as error:  # there is no memory to say it; nor was there before
        return REFUSED if _tell_refused(error) else OUR_BUG
    print(f"\nvmlaunch {VERSION}: this is a bug of vmlaunch; please report it with the lines above.", file=sys.stderr)
    return OUR_BUG
