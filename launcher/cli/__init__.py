"""argv in, exit code out. Only the module of the verb in hand is imported; `--help` needs none of them.

A verb knows nothing of what dispatches it: what it needs of the others it finds in its `options`.
"""

from __future__ import annotations

import gc
import os
import sys
from importlib import import_module

from launcher.cli.loading import install
from launcher.cli.outcome import leave, refusing, survive, tell_interrupted

TYPE_CHECKING = False  # `typing` would be a quarter of `vmlaunch --help`
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, NoReturn

# verb -> (its module in this folder, what it does). The order is that of `vmlaunch --help`.
# A verb's module has `arguments(parser)` and `run(options) -> exit code`, and imports what is heavy inside `run`. One
# that people wait for at each key has `at_a_glance(words) -> its options`, too; None: argparse has to be asked.
VERBS = {
    "plan": ("plan", "resolve a spec against a host and show what `up` would do"),
    "place": ("place", "say which of many recorded hosts can run a spec, best first"),
    "up": ("up", "run a spec or a saved plan"),
    "down": ("down", "stop a VM and put the host back"),
    "ps": ("ps", "list VMs"),
    "inspect": ("inspect", "show the report of a VM as it is now, or as it ended"),
    "logs": ("logs", "print what a guest has said on its serial console"),
    "console": ("console", "attach to the serial console of a VM that is up"),
    "devices": ("devices", "list the PCI devices of this host; --json writes the facts file"),
    "doctor": ("doctor", "say what this host lacks to run VMs with devices, with a way out"),
    "validate": ("validate", "check specs, on any machine"),
    "init": ("init", "write a commented spec for this host"),
    "import": ("importing", "make a spec of a libvirt domain or a QEMU command line"),
    "explain": ("explain", "explain a field of the spec or a code"),
    "schema": ("schema", "print a JSON Schema"),
    "completion": ("completion", "print a completion script for a shell"),
}

USAGE = 2


def command() -> NoReturn:
    """The whole of a process. It is over before there is garbage that is worth a look; who stays on looks again."""
    gc.disable()
    install()
    leave(main())


def main(argv: Sequence[str] | None = None) -> int:
    words = sys.argv[1:] if argv is None else list(argv)
    return survive(lambda: _begin(words))


def _begin(words: list[str]) -> int:
    _open_streams()
    _print_anything()
    return _dispatch(words)


def _dispatch(words: list[str]) -> int:
    first, *rest = words or [""]
    if first in VERBS:
        return _run(first, rest)
    if first in ("-h", "--help", "help"):
        return _help(rest)
    if first in ("-V", "--version", "version"):
        from launcher.version import VERSION

        print(f"vmlaunch {VERSION}")
        return 0
    if first:
        _tell(_not_understood(words))
    else:
        print(overview(), file=sys.stderr)
    return USAGE


def _tell(text: str) -> None:
    from launcher.report.lines import fitted

    print(fitted(text, sys.stderr), file=sys.stderr)


def _help(words: list[str]) -> int:
    """Of vmlaunch, of a verb, or of what `explain` knows."""
    about = [word for word in words if not word.startswith("-")][:1]
    if not about:
        print(overview())
        return 0
    return _run(about[0], ["--help"]) if about[0] in VERBS else _run("explain", about)


def _not_understood(words: list[str]) -> str:
    from launcher.cli.words import no_such_verb, option_before_verb

    verb = next((word for word in words if word in VERBS), None)
    if verb is None or not words[0].startswith("-"):
        return no_such_verb(words[0], tuple(VERBS))
    return option_before_verb(words[0], verb, _parser_of(verb, _module_of(verb))._option_string_actions)


def _run(verb: str, words: list[str]) -> int:
    try:
        module = _module_of(verb)
        options = _at_a_glance(module, words)
        if options is None:
            parser = _parser_of(verb, module)
            options, extra = parser.parse_known_intermixed_args(words)
            if extra:
                return _not_taken(verb, extra, parser, options)
    except SystemExit as leaving:  # argparse has printed help or what is wrong
        return leaving.code if isinstance(leaving.code, int) else USAGE
    except KeyboardInterrupt:
        tell_interrupted(f"`{verb}` was")
        raise
    options.verb = verb
    options.verbs = VERBS.__contains__  # for `explain`
    options.sources = {}  # file name -> text; read_spec fills it, so that any error can be drawn in its file
    return refusing(lambda: module.run(options), options)


def _at_a_glance(module: Any, words: list[str]) -> Any:
    """What argparse would make of them, from a verb that sees it without; else None."""
    from types import SimpleNamespace

    given = module.at_a_glance(words) if hasattr(module, "at_a_glance") else None
    return None if given is None else SimpleNamespace(**given)


def _not_taken(verb: str, extra: list[str], parser: argparse.ArgumentParser, options: argparse.Namespace) -> int:
    from launcher.cli.words import not_taken

    given = getattr(options, "spec", None) or getattr(options, "name", None) or (*getattr(options, "specs", ()), "")[0]
    file, sets = given if isinstance(given, str) else "", getattr(options, "set", ())
    for line in not_taken(verb, extra, parser._option_string_actions, file, sets):
        _tell(f"vmlaunch {verb}: {line}")
    print(f"`vmlaunch {verb} --help` says what it takes", file=sys.stderr)
    return USAGE


def _module_of(verb: str) -> Any:
    return import_module(f"{__name__}.{VERBS[verb][0]}")


def _parser_of(verb: str, module: Any) -> argparse.ArgumentParser:
    from launcher.cli.parser import Parser

    parser = Parser(verb, f"{VERBS[verb][1]}.")
    module.arguments(parser)
    return parser


def overview() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {verb:{width}}  {about}" for verb, (_, about) in VERBS.items())
    return (
        "usage: vmlaunch VERB ...\n\n"
        "Declarative launcher for KVM virtual machines that own real PCI devices.\n\n"
        f"{verbs}\n\n"
        "`vmlaunch VERB --help` says more; so does `vmlaunch explain`. `vmlaunch up --hello` starts a first guest."
    )


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
