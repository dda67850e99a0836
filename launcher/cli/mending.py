"""`validate --fix` and `--diff`: a spec that is named in, what was or would be mended out."""

from __future__ import annotations

import sys

from launcher.errors import Diagnostic, WrongUsage
from launcher.report.frame import visible
from launcher.report.lines import count
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from launcher.api.mending import Mended


def _check_words(options: argparse.Namespace) -> None:
    if options.set:
        raise _unfit("--fix and --diff mend files, and no --set", "leave out --set: fixes are of the file")
    if "-" in options.specs:
        raise _unfit("--fix and --diff mend files, and stdin is none", "write it to a file, and name that")
    if options.diff and options.format != "text":
        raise _unfit(f"--diff is text, and no {options.format}", "leave out --diff: a diagnostic has its `fix` there")


def _unfit(fact: str, help_: str) -> WrongUsage:
    return WrongUsage(Diagnostic("E029", fact, help=(help_,)))


def mend(file: str, options: argparse.Namespace) -> None:
    """Before its verdict."""
    from launcher.api.mending import mended_file, write_over
    from launcher.cli.given import without_plugins

    _check_words(options)
    without_plugins()
    one = mended_file(file)
    if one.fixed and options.fix:
        write_over(one)
    if one.fixed:
        _show(one, options)


def _show(one: Mended, options: argparse.Namespace) -> None:
    if options.diff:
        print("".join(_difference(one)), end="")
    for line in _told(one, "mended" if options.fix else "can be mended"):
        print(visible(line), file=sys.stderr)


def _told(one: Mended, deed: str) -> Iterator[str]:
    for fixed in one.fixed:
        place = fixed.diagnostic.where
        was = f"`{fixed.before}` is now" if fixed.before else "added"
        yield f"{place}: {was} `{fixed.after}` ({fixed.diagnostic.code})"
    yield f"{one.path}: {count(len(one.fixed), 'problem')} {deed}"


def _difference(one: Mended) -> Iterator[str]:
    """As `diff -u` writes it, so that `patch -p0` takes it."""
    before, after = (side.decode("utf-8", "replace").splitlines(keepends=True) for side in (one.before, one.after))
    from difflib import unified_diff

    for line in unified_diff(before, after, one.path, one.path):
        shown = "\t".join(map(visible, line.rstrip("\r\n").split("\t"))) + ("\r\n" if line.endswith("\r\n") else "\n")
        yield shown if line.endswith(("\n", "\r")) else f"{shown}\\ No newline at end of file\n"
