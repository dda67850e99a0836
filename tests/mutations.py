"""A JSON value that is right in, and what hypothesis makes wrong with it; one that is almost right out."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

ODD = (
    *(None, True, False, 0, 1, -1, 7, 4096, 1 << 31, 1 << 63, 1 << 70, -(1 << 63), 0.5, float("nan"), float("inf")),
    *("", "x", "0x0", "0x-1", "-1", "0xfee00000", "0xfffffffffffff000", "0xffffffffffffffffff", "0000:01:00.0"),
    *("ffffffff:ff:1f.7", "vfio-pci", "../..", "/", "a\nb", "\0", "\ud800", "9" * 400, [], {}, [0], [[]], {"x": 1}),
)
MOST = 1 << 20
DAMAGE = st.lists(
    st.tuples(
        st.integers(0, MOST),
        st.sampled_from(("replace", "replace", "move", "move", "delete", "double")),
        st.sampled_from(ODD) | st.integers(-(1 << 65), 1 << 65),
        st.integers(0, MOST),
    ),
    min_size=1,
    max_size=4,
)


def damaged(whole: Any, damage: list[tuple[int, str, Any, int]]) -> Any:
    """`move` puts a value of the same type there that stands elsewhere: what only a look at the whole would notice."""
    found = deepcopy(whole)
    for place, how, odd, other in damage:
        spots = list(_spots(found))
        if not spots:
            return found
        box, key = spots[place % len(spots)]
        if how == "delete":
            del box[key]
        elif how == "double" and isinstance(box, list):
            box.insert(key, deepcopy(box[key]))
        elif how == "move":
            alike = [value for inner, name in spots if type(value := inner[name]) is type(box[key])]
            box[key] = deepcopy(alike[other % len(alike)])
        else:
            box[key] = deepcopy(odd)
    return found


def _spots(box: Any) -> Any:
    """Every (container, key) in it."""
    keys = list(box) if isinstance(box, dict) else range(len(box)) if isinstance(box, list) else ()
    for key in keys:
        yield box, key
        yield from _spots(box[key])
