"""A spec in its long form, as a plan keeps it, in; the VmSpec out, or the first thing that is wrong with it. Pure."""

from __future__ import annotations

from launcher.spec.parts import VM_SPEC, VmSpec
from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Collection

DEEPEST = 5  # of what a spec has within each other
# Of a device, what goes with some of its names only, but for its default.
USUAL: tuple[tuple[str, object], ...] = (
    ("pick", "one"),
    ("companions", "refuse"),
    ("bind", "auto"),
    ("rom", True),
    ("allow", []),
)


def read_resolved(plain: dict[str, Any], paged: Collection[int] = ()) -> VmSpec:
    """As if only what differs from the defaults had been said. ValueError in our words.

    `paged`: the banks whose pages were named, which the long form does not tell from those that have the default.
    """
    said = VM_SPEC.plain(_valid(_given(plain)), short=True)
    for number, bank in enumerate(said["memory"]):
        if number in paged:
            bank.setdefault("pages", "thp")
    return _valid(said)


def _valid(given: dict[str, Any]) -> VmSpec:
    try:
        return VM_SPEC.read(given)
    except ValueError:
        from launcher.spec.complaints import judged

        spec, found = judged(given, frozenset())
    if spec is None:
        raise ValueError("; ".join(f"{'.'.join(one.path)}: {one.message}" for one in found[:1]))
    return spec


def _given(plain: Any, depth: int = DEEPEST) -> Any:
    """Without what only the long form says."""
    if isinstance(plain, list) and depth:
        return [_given(one, depth - 1) for one in plain]
    if isinstance(plain, dict) and depth:
        return {
            key: _given(one, depth - 1) for key, one in plain.items() if one is not None and (key, one) not in USUAL
        }
    return plain
