"""Where the guest may put a BAR, if it moves one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from launcher.machine.board import Layout
from launcher.typed import Literal
from launcher.values import KIB, Span

PORTS = Span(0, 64 * KIB)
ADDRESSES = Span(0, 1 << 52)  # no CPU has wider guest addresses


def reachable(span: Span, space: Literal["port", "memory"], ram: Iterable[Span], layout: Layout) -> bool:
    """A BAR may lie neither over RAM nor over the machine's own addresses. BARs of less than a page may share one."""
    if space == "port":
        return PORTS.covers(span)
    if not ADDRESSES.covers(span):
        return False
    inside = layout.bars_32.covers(span) or not layout.hole.overlaps(span)
    return inside and not any(one.overlaps(span) for one in ram)
