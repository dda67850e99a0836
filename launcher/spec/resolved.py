"""A spec in its long form, as a plan keeps it, in; the VmSpec out, or the first thing that is wrong with it. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from launcher.spec.complaints import complaints
from launcher.spec.model import VmSpec

if TYPE_CHECKING:
    from collections.abc import Collection

DEEPEST = 5  # of what a spec has within each other
PICK = ("pick", "one")  # goes with `match` only, but for its default


def read_resolved(plain: dict[str, Any], paged: Collection[int] = ()) -> VmSpec:
    """As if only what differs from the defaults had been said. ValueError in our words.

    `paged`: the banks whose pages were named, which the long form does not tell from those that have the default.
    """
    said = _valid(_given(plain)).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    for number, bank in enumerate(said["memory"]):
        if number in paged:
            bank.setdefault("pages", "thp")
    return _valid(said)


def _valid(given: dict[str, Any]) -> VmSpec:
    try:
        return VmSpec.model_validate(given)
    except ValidationError as error:
        found = complaints(error, given, frozenset())
        raise ValueError("; ".join(f"{'.'.join(one.path)}: {one.message}" for one in found[:1])) from None


def _given(plain: Any, depth: int = DEEPEST) -> Any:
    """Without what only the long form says."""
    if isinstance(plain, list) and depth:
        return [_given(one, depth - 1) for one in plain]
    if isinstance(plain, dict) and depth:
        return {key: _given(one, depth - 1) for key, one in plain.items() if one is not None and (key, one) != PICK}
    return plain
