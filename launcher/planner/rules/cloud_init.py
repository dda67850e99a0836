"""Rules about the files that a spec has for cloud-init: there, of a sensible size, and what it takes. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.images.cloud_init import LARGEST
from launcher.planner.places import in_spec
from launcher.planner.rules.boot import UNREADABLE
from launcher.planner.rules.rule import Rule
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing, show_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.planner.decided import Situation

_FIRST_LINE = "let its first line be `#cloud-config`, and mappings follow; a script begins with `#!`"
_UNTOLD = ("does not begin", "begins with", "is empty")
_VALID = "correct it: `cloud-init schema --config-file FILE` in a guest says what it takes"


def _files(it: Situation) -> Iterator[Diagnostic]:
    for name, found in it.files.seed.items():
        where = in_spec(f"cloud-init.{name}")
        if isinstance(found, Missing) and "\n" in found.path:
            help_ = f"write the text to a file, and name that: `{name}: ./{name}`"
            yield Diagnostic(
                "E410", f"cloud-init.{name} is a text, and no file of that name is there", where, help=(help_,)
            )
        elif isinstance(found, Missing):
            code, fact, help_ = UNREADABLE[found.missing]
            yield Diagnostic(code, f"{found.path} {fact}", where, help=(help_,))
        elif found.kind != "file":
            yield Diagnostic("E413", f"{found.path} is no regular file", where, help=("name a file",))
        elif found.size > LARGEST:
            fact = f"{found.path} has {found.size} bytes, and a file for cloud-init has {show_size(LARGEST)} at most"
            yield Diagnostic("E462", fact, where, help=("share a folder by `shares:` for what is large",))
        elif found.problem:
            help_ = _FIRST_LINE if name == "user-data" and found.problem.startswith(_UNTOLD) else _VALID
            yield Diagnostic("W463", f"{found.path} {found.problem}", where, help=(help_,))


RULES: tuple[Rule, ...] = (Rule("policy", _files),)
