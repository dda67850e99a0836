"""A small JSON text in, its value out, without json, which imports re: a quarter of what `ps` may take. Pure.

It knows what keepers write into their state: objects, lists, texts without escapes, whole numbers, null.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LARGEST = 4096  # bytes: of more, json is the faster one
_WORDS = {"null": None, "true": True, "false": False}
_BLANK = " \n"


def read_small(raw: bytes) -> Any:
    """ValueError, IndexError, RecursionError: it has something else, or is no JSON."""
    text = raw.decode("ascii")
    if len(text) > LARGEST or "\\" in text or not text.replace("\n", "").isprintable():
        raise ValueError
    value, at = _value(text, 0)
    if text[at:].strip(_BLANK):
        raise ValueError
    return value


def _value(text: str, at: int) -> tuple[Any, int]:
    """With the place behind it."""
    at = _behind_blanks(text, at)
    if text[at] == '"':
        end = text.index('"', at + 1, (text + "\n").index("\n", at))
        return text[at + 1 : end], end + 1
    if text[at] == "{":
        items, at = _items(text, at, "}")
        return dict(items), at
    if text[at] == "[":
        return _items(text, at, "]")
    end = at
    while text[end : end + 1].isalnum():
        end += 1
    word = text[at:end]
    if word in _WORDS:
        return _WORDS[word], end
    if not word.isdecimal() or (word[0] == "0" and word != "0") or text[end : end + 1] in (".", "+", "-"):
        raise ValueError
    return int(word), end


def _items(text: str, at: int, closing: str) -> tuple[list[Any], int]:
    """Values of a list, or the pairs of an object."""
    found: list[Any] = []
    at = _behind_blanks(text, at + 1)
    while text[at] != closing or found:
        one, at = _pair(text, at) if closing == "}" else _value(text, at)
        found.append(one)
        at = _behind_blanks(text, at)
        if text[at] == closing:
            break
        if text[at] != ",":
            raise ValueError
        at += 1
    return found, at + 1


def _pair(text: str, at: int) -> tuple[tuple[str, Any], int]:
    key, at = _value(text, at)
    at = _behind_blanks(text, at)
    if not isinstance(key, str) or text[at] != ":":
        raise ValueError
    value, at = _value(text, at + 1)
    return (key, value), at


def _behind_blanks(text: str, at: int) -> int:
    while text[at] in _BLANK:
        at += 1
    return at
