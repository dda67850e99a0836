"""Plain values in, YAML in blocks out: for manifests, which are mappings and lists of words and numbers. Pure."""

from __future__ import annotations

import re
from json import dumps

from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

# Text that is text in every YAML, wherever it stands; anything else is in quotes, which are JSON's.
_PLAIN = r"[A-Za-z/][A-Za-z0-9_./-]*"
_NOT_TEXT = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}

Plain = Any  # a mapping by text, a list, text, a number, true, false, null


def documents(values: Iterable[Plain]) -> str:
    return "---\n".join("".join(f"{line}\n" for line in _lines(one)) for one in values)


def _lines(value: Plain) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _mapping(value)
    elif isinstance(value, (list, tuple)):
        yield from _list(value)
    else:
        yield _word(value)


def _mapping(value: Mapping[str, Plain]) -> Iterator[str]:
    for key, one in value.items():
        name = _word(key)
        if isinstance(one, (dict, list, tuple)) and one:
            yield f"{name}:"
            indent = "  " if isinstance(one, dict) else ""
            yield from (f"{indent}{line}" for line in _lines(one))
        elif isinstance(one, str) and _is_page(one):
            yield f"{name}: |"
            yield from (f"  {line}".rstrip() for line in one.splitlines())
        else:
            yield f"{name}: {_word(one)}"


def _list(value: Sequence[Plain]) -> Iterator[str]:
    for one in value:
        first, *rest = _lines(one) if isinstance(one, (dict, list, tuple)) and one else [_word(one)]
        yield f"- {first}"
        yield from (f"  {line}" for line in rest)


def _is_page(text: str) -> bool:
    """Lines that a block keeps as they are: it has no blank at its start or at the end of a line."""
    lines = text.split("\n")
    whole = len(lines) > 2 and lines[-1] == "" and lines[-2] != "" and not lines[0].startswith((" ", "\n"))
    return whole and lines[0] != "" and all(line.isprintable() and line == line.rstrip() for line in lines)


def _word(value: Plain) -> str:
    if isinstance(value, str):
        plain = re.fullmatch(_PLAIN, value) and value.lower() not in _NOT_TEXT
        return value if plain else _quoted(value)
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return "{}" if isinstance(value, dict) else "[]" if isinstance(value, (list, tuple)) else str(value)


def _quoted(text: str) -> str:
    """JSON's quotes are YAML's, but for halves of a pair."""
    return re.sub(r"[^\x20-\U0010ffff]|[\x7f-\x9f\u2028\u2029\ufeff]", _escaped, dumps(text, ensure_ascii=False))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"
