"""Text of strangers in; the same, with what steers a terminal or turns text around written out, out. Pure.

`frame.visible` is for one line, in which each character has to keep its column; this is for whole texts and for JSON.
"""

from __future__ import annotations

from launcher.patterns import re
from launcher.typed import Any

# C0 but tab and newline, DEL and C1, which hide or turn text (Unicode 15, categories Cf, Zl, Zp; not those that join
# letters), and single surrogates: Python's for bytes that are no UTF-8. A carriage return takes back what its line
# says, unless a newline follows.
_HIDES = "\u00ad\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f"
_STEERS = f"[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f{_HIDES}]|\\r(?!\\r*\\n)"
_IN_JSON = f"[\\x7f-\\x9f{_HIDES}]"
_FIRST_OF_A_BYTE, _LAST_OF_A_BYTE = 0xDC80, 0xDCFF  # PEP 383


def escaped(text: str) -> str:
    r"""As Python would write it: \x1b, \u202e; a byte that is no text is \x9b, too."""
    return re.sub(_STEERS, _written_out, text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    if _FIRST_OF_A_BYTE <= code <= _LAST_OF_A_BYTE:
        code -= 0xDC00
    if code < 0x100:
        return "\\r" if code == 0xD else f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 1 << 16 else f"\\U{code:08x}"


def as_json(value: Any, indent: int | None = None) -> str:
    """For people as well: letters stay. What would steer their terminals is \\u009b, which is the same JSON."""
    import json  # whoever only escapes has no use for it

    return re.sub(
        _IN_JSON, lambda found: json.dumps(found[0])[1:-1], json.dumps(value, indent=indent, ensure_ascii=False)
    )
