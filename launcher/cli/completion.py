"""The name of a shell in, a completion script for it on stdout out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.cli.shells import SHELLS, Argument, Verb

if TYPE_CHECKING:
    import argparse

# What the metavar of an argument says about its words: how the names of such files end, "" for any file.
FILES = {"SPEC": (".yaml", ".yml"), "PLAN": (".plan",), "FILE": ("",), "FACTS": ("",)}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(SHELLS), metavar="SHELL", help=f"one of {', '.join(SHELLS)}")


def run(options: argparse.Namespace) -> int:
    print(SHELLS[options.shell]([_verb(*one) for one in options.parsers()]), end="")
    return 0


def _verb(name: str, about: str, parser: argparse.ArgumentParser) -> Verb:
    # argparse has no public way to ask a parser what it takes
    return Verb(name, about, tuple(_argument(one) for one in parser._actions))


def _argument(action: argparse.Action) -> Argument:
    shown = str(action.metavar or "")
    return Argument(
        flags=tuple(action.option_strings),
        about=(action.help or "").split("\n")[0].replace("%", ""),
        takes_value=action.nargs != 0,
        choices=tuple(map(str, action.choices or ())),
        files=tuple(ending for word in shown.split("|") for ending in FILES.get(word, ())),
        names="NAME" in shown.split("|"),
    )
