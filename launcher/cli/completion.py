"""The name of a shell in, a completion script for it on stdout out. The scripts are made by `./dev generate`."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

INSTALLING = (
    "For bash put it into /etc/bash_completion.d/vmlaunch or ~/.local/share/bash-completion/completions/vmlaunch, for "
    "zsh into a folder of $fpath as _vmlaunch, for fish into ~/.config/fish/completions/vmlaunch.fish; for this shell "
    "only `source <(vmlaunch completion bash)`."
)

SCRIPTS = {"bash": "vmlaunch", "zsh": "_vmlaunch", "fish": "vmlaunch.fish"}  # as each shell looks for it
_FOLDER = os.path.join(os.path.dirname(__file__), "completions")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=tuple(SCRIPTS), metavar="SHELL", help=f"one of {', '.join(SCRIPTS)}")
    parser.description = f"{parser.description} {INSTALLING}"


def at_a_glance(words: Sequence[str]) -> dict[str, object] | None:
    return {"shell": words[0]} if len(words) == 1 and words[0] in SCRIPTS else None


def run(options: argparse.Namespace) -> int:
    with open(os.path.join(_FOLDER, SCRIPTS[options.shell]), encoding="utf-8") as script:
        print(script.read(), end="")
    return 0
