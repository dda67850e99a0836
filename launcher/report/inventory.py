"""HostFacts in, its PCI devices by IOMMU group for people out, in 100 columns. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import HostFacts, PciFunction

WIDTH = 100


def inventory_text(host: HostFacts) -> str:
    return "\n".join(_lines(host))


def _lines(host: HostFacts) -> Iterator[str]:
    iommu = host.iommu.kind if host.iommu else "no IOMMU in use"
    yield f"{host.name} · Linux {host.kernel} · {iommu}"
    yield ""
    yield f"{'group':>5}  {'host':12}  {'is':50}  {'node':>4}  driver"
    for one in sorted(host.pci, key=lambda one: (one.group is None, one.group or 0, one.address)):
        yield _line(one)


def _line(one: PciFunction) -> str:
    name = f"{one.id} {one.name}" if one.name else f"{one.id} class {one.class_code}"
    short = name if len(name) <= 50 else f"{name[:49]}…"
    group, node = ("-" if number is None else number for number in (one.group, one.node))
    return f"{group:>5}  {one.address!s:12}  {short:50}  {node:>4}  {one.driver or '-'}"[:WIDTH]
