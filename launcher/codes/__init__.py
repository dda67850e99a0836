"""A code in, its explanation out: title, cause, example, fix. `explain` and docs/errors.md print it. Pure."""

from __future__ import annotations

from importlib import import_module

from launcher.codes.page import Explanation

# Codes are stable and never reused. The first digit says which files explain it.
ROOMS = {
    "0": ("yaml",),
    "1": ("spec",),
    "2": ("devices", "iommu", "drivers", "mediated", "conditions"),
    "3": ("memory", "spaces"),
    "4": ("boot", "firmware"),
    "5": ("running", "placing", "scheduling"),
    "6": ("images", "serving"),
}


def explanation(code: str) -> Explanation | None:
    """KeyError never: an unknown code is None."""
    rooms = ROOMS.get(code[1:2], ()) if len(code) == 4 else ()
    return next((one for room in rooms for one in _room(room) if one.code == code), None)


def all_explanations() -> tuple[Explanation, ...]:
    found = (one for rooms in ROOMS.values() for room in rooms for one in _room(room))
    return tuple(sorted(found, key=lambda one: (one.code[1:], one.code)))


def _room(name: str) -> tuple[Explanation, ...]:
    found: tuple[Explanation, ...] = import_module(f"{__name__}.{name}").EXPLANATIONS
    return found
