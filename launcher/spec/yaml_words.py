"""Text in, a word of YAML that is that text out, and whether it needs quotes. Pure."""

from __future__ import annotations

from json import dumps

from launcher.patterns import re
from launcher.spec.yaml_text import resolve

# Text that needs no quotes wherever it stands, in a list or a mapping in brackets too.
_FIRST = r"(?:[A-Za-z0-9_./~]|-(?=[A-Za-z0-9_./~-]))"  # a - alone begins a list
_PLAIN = rf"{_FIRST}(?:[A-Za-z0-9_./~=+@%-]| (?=[A-Za-z0-9_./~=+@%-])|:(?=[A-Za-z0-9_./~=+@%-]))*"

# What YAML 1.1 reads as something else: https://yaml.org/type, and what its readers make of that.
_OLD_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~"})
_OLD_NUMBER = r"[-+]?(?:[0-9_:.]+(?:[eE][-+]?[0-9]*)?|0[box][0-9a-fA-F_]*|\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))"
_OLD_DATE = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt ].*)?"
_OLD = rf"{_OLD_NUMBER}|{_OLD_DATE}"


def is_plain(text: str, *, inside: bool = False) -> bool:
    """It is that text to a reader of YAML 1.2. `inside` a list or a mapping in brackets, where a comma ends it."""
    shape = text if inside else text[:1] + text[1:].replace(",", "_")
    return re.fullmatch(_PLAIN, shape) is not None and isinstance(resolve(text), str)


def is_plain_everywhere(text: str, *, inside: bool = False) -> bool:
    """To a reader of YAML 1.1 too, for which 0000-01-00 is a date, 01:00.0 a number, and no: false. Of these some take
    no colon in brackets."""
    old = text.lower() in _OLD_WORDS or re.fullmatch(_OLD, text) is not None or (inside and ":" in text)
    return not old and is_plain(text, inside=inside)


def in_quotes(text: str) -> str:
    """On one line, with escapes for what a person could not see."""
    return "".join(sign if sign.isprintable() else _escape(sign) for sign in dumps(text, ensure_ascii=False))


def _escape(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def text_everywhere(text: str, *, inside: bool = False) -> str:
    """For a file that somebody keeps."""
    return text if is_plain_everywhere(text, inside=inside) else in_quotes(text)
