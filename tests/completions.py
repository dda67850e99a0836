"""The verbs' parsers, fields, codes and classes in; the completion script of each shell out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.cli.completion import SCRIPTS
from launcher.codes import all_explanations
from launcher.spec.fields import all_fields
from launcher.spec.kinds import WORDS as CLASSES
from tests.parsers import parsers
from tests.shells import WRITERS, Argument, Verb

if TYPE_CHECKING:
    import argparse

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
    f"{one}=" for one in all_fields() if not one.startswith(("memory.", *(f"{name}." for name in BETWEEN)))
)
# What the metavar of an argument says about its words, where they are known.
WORDS = {
    "KEY|CODE|WORD": (*all_fields(), *(one.code for one in all_explanations()), "codes"),
    "KEY=VALUE": SETTABLE,
    "CLASS": tuple(CLASSES),
    "SHELL": tuple(SCRIPTS),
}


def completions() -> dict[str, str]:
    """Path below the checkout -> the script."""
    verbs = [_verb(*one) for one in parsers()]
    return {f"launcher/cli/completions/{SCRIPTS[shell]}": write(verbs) for shell, write in WRITERS.items()}


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
