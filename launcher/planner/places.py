"""A field of the spec, which rules know by its path, in; its place in the file out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from launcher.errors import Diagnostic, Where, sorted_by_place
from launcher.typed import TypeAlias

# A field of the spec (`memory.0.size`) -> where it is written.
Locate: TypeAlias = Callable[[str], Where | None]


def in_spec(path: str) -> Where:
    """A place that is known by its field only."""
    return Where("", path=path)


def located(findings: Iterable[Diagnostic], locate: Locate) -> tuple[Diagnostic, ...]:
    """In the order a reader of the file meets them."""
    return sorted_by_place([one.at(locate(one.where.path) if one.where else None) for one in findings])
