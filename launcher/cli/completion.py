"""The name of a shell in, a completion script for it on stdout out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.cli.offered import CLASSES, CODES, FIELDS
from launcher.cli.shells import SHELLS, Argument, Verb

if TYPE_CHECKING:
    import argparse

INSTALLING = (
    "For bash put it into /etc/bash_completion.d/vmlaunch or ~/.local/share/bash-completion/completions/vmlaunch, for "
    "zsh into a folder of $fpath as _vmlaunch, for fish into ~/.config/fish/completions/vmlaunch.fish; for this shell "
    "only `source <(vmlaunch completion bash)`."
)

# What the metavar of an argument says about its words: how the names of such files end, "" for any file.
FILES = {
    "SPEC": (".yaml", ".yml", ".json"),
    "PLAN": (".plan",),
    "FILE": ("",),
    "FACTS": (".json",),
    "HOSTS": (".json", ".jsonl"),
}
BETWEEN = ("devices", "disks", "nics", "shares")  # and a field of theirs stands an alias
# With the sign behind which the value stands.
SETTABLE = tuple(
    f"{one}=" for one in FIELDS.split() if not one.startswith(("memory.", *(f"{name}." for name in BETWEEN)))
)
# What the metavar of an argument says about its words, where they are known.
WORDS = {
    "KEY|CODE|WORD": (*FIELDS.split(), *CODES.split(), "codes"),
    "KEY=VALUE": SETTABLE,
    "CLASS": tuple(CLASSES.split()),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(SHELLS), metavar="SHELL", help=f"one of {', '.join(SHELLS)}")
    parser.description = f"{parser.description} {INSTALLING}"


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
        choices=WORDS.get(shown, tuple(map(str, action.choices or ()))),
        files=tuple(ending for word in shown.split("|") for ending in FILES.get(word, ())),
        names="NAME" in shown.split("|"),
    )
