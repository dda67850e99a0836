"""(host, functions that are taken) -> how many bits guest addresses have, and what says so. Pure."""

from __future__ import annotations

from launcher.planner.decided import Width
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.host.facts import HostFacts, Iommu, PciFunction

_WIDEST = 64  # bits of an address, whatever a facts file claims

# The driver of Linux 6.1 claims 64 bits; with the four levels of page tables that AMD's IOMMUs are sure to have, an
# address has 48.
_AMD_BITS = 48


def widths(host: HostFacts, functions: Iterable[PciFunction]) -> tuple[Width, ...]:
    """Of CPUs and KVM, and where there are functions, of the IOMMU units that they are behind."""
    found = []
    if not isinstance(host.kvm, Missing):
        bits = host.kvm.physical_bits
        found.append(Width(bits, f"KVM gives guests {bits} bits"))
    if bits := host.firmware.physical_bits or 0:
        found.append(Width(bits, f"the host's CPUs have {bits} bits"))
    if host.iommu:
        found += _translated(host.iommu, dict.fromkeys(one.iommu for one in functions))
    return tuple(found)


def _translated(iommu: Iommu, names: Iterable[str | None]) -> Iterator[Width]:
    """Units that a function does not name, or whose width is not known, count as the narrowest of all."""
    units = {unit.name: unit.address_bits for unit in iommu.units}
    for name in names:
        bits = units.get(name or "") or iommu.address_bits
        if iommu.kind == "AMD-Vi":
            bits = min(bits or _AMD_BITS, _AMD_BITS)
        if bits:
            what = f"IOMMU {name}" if name in units else f"IOMMU ({iommu.kind})"
            yield Width(bits, f"the {what} translates {bits} bits")


def address_bits(found: tuple[Width, ...]) -> int | None:
    """None: not known."""
    return min((min(one.bits, _WIDEST) for one in found), default=None)
