"""(HostFacts, width) -> its PCI devices by IOMMU group for people. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.report.frame import visible
from launcher.report.lines import WIDE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, PciFunction

NAME = 50  # columns, where there is room


def inventory_text(host: HostFacts, width: int = WIDE) -> str:
    return "\n".join(visible(line) for line in _lines(host, width))


def _lines(host: HostFacts, width: int) -> Iterator[str]:
    iommu = host.iommu.kind if host.iommu else "no IOMMU in use"
    yield f"{host.name} · Linux {host.kernel} · {iommu}"
    yield ""
    room = max(min(NAME, width - WIDE + NAME), 9)  # at least the id
    yield f"{'group':>5}  {'host':12}  {'is':{room}}  {'node':>4}  driver"
    for one in sorted(host.pci, key=lambda one: (one.group is None, one.group or 0, one.address)):
        yield _line(one, room)[:width].rstrip()


def _line(one: PciFunction, room: int) -> str:
    name = f"{one.id} {one.name}" if one.name else f"{one.id} class {one.class_code}"
    short = name if len(name) <= room else f"{name[: room - 1]}…"
    group, node = ("-" if number is None else number for number in (one.group, one.node))
    return f"{group:>5}  {one.address!s:12}  {short:{room}}  {node:>4}  {one.driver or '-'}"
