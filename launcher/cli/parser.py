"""What a verb takes, for argparse; what is wrong with the words of a command is said as vmlaunch says things."""

from __future__ import annotations

import argparse
import sys

from launcher.cli.words import cannot_be, mistaken
from launcher.report.lines import WIDE, fitted, width_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn


class Parser(argparse.ArgumentParser):
    def __init__(self, verb: str, about: str) -> None:
        super().__init__(f"vmlaunch {verb}", description=about, allow_abbrev=False, formatter_class=_formatter)
        self._verb = verb

    def error(self, message: str) -> NoReturn:
        self._refuse(f"{mistaken(message)}\n`{self.prog} --help` says what it takes")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            name = (*action.option_strings, "")[0]
            self._refuse(cannot_be(self._verb, name, str(value), tuple(action.choices)))

    def _refuse(self, said: str) -> NoReturn:
        print(fitted(f"{self.prog}: {said}", sys.stderr), file=sys.stderr)
        raise SystemExit(2)


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Told the width: to find it, argparse would import what opens archives."""
    return argparse.HelpFormatter(prog, width=min(width_of(sys.stdout), WIDE) - 2)
