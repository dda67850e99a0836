"""JSON text in, its value out, and back, as `json` has it, without importing that while all goes well. Pure.

`json` compiles six patterns when it is imported, and imports for them what is a quarter of a start until there are two
processes. What reads and writes for it is written in C, and needs none of that: it is asked directly, and `json` only
about what it does not read, which says then what is wrong.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

try:
    import _json
except ImportError:  # another Python than CPython may have none
    _json = None  # type: ignore[assignment]

_BLANKS = " \t\n\r"


class _AsJson:
    """How `json.loads` reads, in the words of its scanner; that of Python 3.15 asks for `array_hook`, too."""

    strict, object_hook, object_pairs_hook, array_hook, parse_float = True, None, None, None, float
    parse_constant = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}.__getitem__

    def __init__(self, parse_int: Callable[[str], int]) -> None:
        self.parse_int = parse_int


def loads(text: str | bytes, *, parse_int: Callable[[str], int] = int) -> Any:
    """ValueError, RecursionError: those of `json.loads`, or one without its words behind `import_no_more`."""
    try:
        plain = (text if isinstance(text, str) else text.decode()).strip(_BLANKS)
        as_json: Any = _AsJson(parse_int)
        value, end = _json.make_scanner(as_json)(plain, 0)
        if end == len(plain):
            return value
    except (AttributeError, StopIteration, ValueError, ImportError, SystemError):
        pass  # it imports its error, too; that of Python 3.11 takes it from `json`, and has none where that is not yet
    try:
        import json
    except ImportError:
        raise ValueError("it is no JSON") from None
    return json.loads(text, parse_int=parse_int)


def dumps(value: object) -> str:
    """TypeError, ValueError: those of `json.dumps`."""
    if _json is None:
        import json

        return json.dumps(value)
    encoder: Any = _json.make_encoder({}, _refuse, _json.encode_basestring_ascii, None, ": ", ", ", False, False, True)
    return "".join(encoder(value, 0))


def import_no_more() -> None:
    """Who is confined would be killed for trying to, by whoever sends him what is no JSON. A Python that has nothing
    for us to ask directly imports it now."""
    try:
        _json.make_scanner(_AsJson(int))  # type: ignore[arg-type]
    except (AttributeError, TypeError):
        import json  # noqa: F401
    else:
        for name in ("json", "json.decoder"):
            sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def indented(value: object, margin: str = "\n") -> str:
    """The same, each item in a line of its own, as `json.dumps(value, indent=1)` has it. Keys are text."""
    if isinstance(value, str):
        return _quoted(value)
    inner = f"{margin} "
    if isinstance(value, dict) and value:
        items = [f"{_quoted(key)}: {indented(item, inner)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{margin}}}"
    if isinstance(value, list | tuple) and value:
        return f"[{inner}{f',{inner}'.join(indented(item, inner) for item in value)}{margin}]"
    return dumps(value)


def _quoted(text: str) -> str:
    return _json.encode_basestring_ascii(text) if _json else dumps(text)


def _refuse(value: object) -> NoReturn:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")
