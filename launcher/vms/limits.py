"""A JSON value that another process has sent in; Unfit when it is larger than anything meant well, out. Pure."""

from __future__ import annotations

from launcher.typed import Any

MOST_NOTE, MOST_TEXT, MOST_TRACE = 1 << 10, 1 << 12, 1 << 14  # characters
MOST_ITEMS = 64  # in a list of problems, BARs, registers, measures
MOST_LIST = 1024  # in any other: counts of vCPUs, IOMMU groups
MOST_NUMBER = 1 << 64
MOST_DEPTH = 8
MOST_NAME = 64


class Unfit(ValueError):
    """A packet that its sender could not have meant well with; the text says what is wrong with it."""


def clipped(plain: Any, most: int) -> Any:
    """The same JSON value; a text in it that is too long loses its end."""
    if isinstance(plain, str):
        text = as_text(plain)
        return text if len(text) <= most else text[: most - 3] + "..."
    if isinstance(plain, list):
        return [clipped(one, most) for one in plain]
    return {key: clipped(one, most) for key, one in plain.items()} if isinstance(plain, dict) else plain


def as_text(one: str) -> str:
    """Without the surrogates that a path has which is no UTF-8."""
    return one.encode(errors="backslashreplace").decode()


def check_sizes(plain: Any, most: int, depth: int = MOST_DEPTH) -> None:
    """Unfit, too, for a number that is below zero or wider than 64 bits."""
    if isinstance(plain, (dict, list)):
        if not depth or len(plain) > (MOST_ITEMS if isinstance(plain, dict) else MOST_LIST):
            raise Unfit("it is too deep, or has too many parts")
        for one in (*plain, *plain.values()) if isinstance(plain, dict) else plain:
            check_sizes(one, most, depth - 1)
    elif isinstance(plain, str) and (len(plain) > most or not is_text(plain)):
        raise Unfit(f"a text of {len(plain)} characters is too long, or none")
    elif isinstance(plain, (int, float)) and not 0 <= plain < MOST_NUMBER:  # a NaN is not, either
        raise Unfit("a number is out of all bounds")


def is_text(one: str) -> bool:
    """A surrogate can come out of JSON and can go nowhere."""
    return not any("\ud800" <= char <= "\udfff" for char in one)


def is_word(name: str) -> bool:
    return name.isascii() and name.isidentifier() and len(name) <= MOST_NAME
