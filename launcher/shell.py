"""A word in; as a shell takes it for one word, out: what `shlex.quote` does, which imports `re` for it. Pure."""

from __future__ import annotations

_HARMLESS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-")


def quote(word: str) -> str:
    if word and _HARMLESS.issuperset(word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
