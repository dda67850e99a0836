"""A guest's kernel command line in, the parameters that Linux reads from it out. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from launcher.patterns import re

# Words end at a space that is not in double quotes (next_arg in lib/cmdline.c); there is no escape.
_WORD = r'(?:[^\s"]|"[^"]*(?:"|$))+'


def parameters(cmdline: str) -> Iterator[tuple[str, str]]:
    """(name, value) in order; the value is empty where there is none. What is behind `--` is for init."""
    for match in re.finditer(_WORD, cmdline):
        word = match[0].replace('"', "")
        if word == "--":
            return
        name, _, value = word.partition("=")
        yield name, value


def values(cmdline: str, name: str) -> tuple[str, ...]:
    return tuple(value for key, value in parameters(cmdline) if key == name)
