"""Words of a command line in; the path of the spec or saved plan that they mean out: a file of theirs, or `--hello`."""

from __future__ import annotations

import os

from launcher.errors import Diagnostic, WrongUsage
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

# Beside this, with its kernel; in a checkout they are links into examples/.
HELLO = os.path.join(os.path.dirname(__file__), "hello.yaml")


def arguments(parser: argparse.ArgumentParser, about: str) -> None:
    parser.add_argument("spec", nargs="?", metavar="SPEC|PLAN", help=about)
    parser.add_argument("--hello", action="store_true", help="instead of a SPEC the guest that comes with vmlaunch")


def only_a_file(
    words: Sequence[str], others: Mapping[str, object], switches: Mapping[str, tuple[str, object]]
) -> dict[str, object] | None:
    """For `at_a_glance`: one word that is no option, or `--hello`, and `switches`, by what each of them sets. `others`:
    what the verb's other options are then."""
    known = {**switches, "--hello": ("hello", True)}
    files = [word for word in words if word not in known]
    if len(files) > 1 or any(not one or one.startswith("-") for one in files) or not (files or "--hello" in words):
        return None
    chosen = dict(known[word] for word in words if word in known)
    return {"spec": files[0] if files else None, "hello": False, **others, **chosen}


def meant(options: argparse.Namespace) -> str:
    if options.hello == (options.spec is None):
        return HELLO if options.hello else str(options.spec)
    what = "a spec and --hello: one of them is meant" if options.hello else "neither a spec nor --hello is given"
    help_ = (f"write `vmlaunch {options.verb} SPEC`, or `vmlaunch {options.verb} --hello`",)
    raise WrongUsage(Diagnostic("E533", what, help=help_))
