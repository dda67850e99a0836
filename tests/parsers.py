"""-> of each verb its name, what it does, and its parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.cli import VERBS, _module_of, _parser_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def parsers() -> Iterator[tuple[str, str, argparse.ArgumentParser]]:
    for verb, (_, about) in VERBS.items():
        yield verb, about, _parser_of(verb, _module_of(verb))
