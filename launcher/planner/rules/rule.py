"""What a rule is, and all that it may look at. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple

from launcher.errors import Diagnostic
from launcher.planner.widths import widths
from launcher.record import record

if TYPE_CHECKING:
    from launcher.host.facts import HostFacts, IommuGroup, PciFunction
    from launcher.images.boot_files import BootFiles
    from launcher.plan.plan import PlannedDevice
    from launcher.plan.steps import RamRange
    from launcher.planner.choose import Choice
    from launcher.planner.devices import Passthrough
    from launcher.planner.regions import Reserved
    from launcher.planner.resets import Reset
    from launcher.planner.widths import Width
    from launcher.spec.model import VmSpec
    from launcher.values import PciAddress


@record
class Situation:
    """The spec, the host, and what has been decided so far. `functions` are all of the host's, by address.

    `bits`: of guest addresses, None where not known; `locked`: bytes that VFIO locks.
    """

    spec: VmSpec
    host: HostFacts
    files: BootFiles
    functions: Mapping[PciAddress, PciFunction]
    passing: Passthrough
    devices: tuple[PlannedDevice, ...]
    resets: Mapping[PciAddress, Reset]
    ranges: tuple[RamRange, ...]
    reserved: tuple[Reserved, ...]
    bits: int | None
    locked: int

    def chosen(self) -> Iterator[tuple[Choice, PciFunction]]:
        """The spec's devices that are there, in file order."""
        for choice in self.passing.choices:
            if choice.function:
                yield choice, choice.function

    def limits(self) -> tuple[Width, ...]:
        """All that bounds guest addresses; `bits` is the least of them."""
        return widths(self.host, (one.function for one in self.passing.taken))

    def members(self, group: IommuGroup) -> Iterator[PciFunction]:
        """The PCI functions of a group, by address."""
        return (self.functions[address] for address in sorted(group.devices) if address in self.functions)


class Rule(NamedTuple):
    """`kind`: kernel, what the kernel will refuse or do, which nothing lifts; policy, what we advise against, which
    the word of `allow` that its message names lifts, or which only warns."""

    kind: Literal["kernel", "policy"]
    check: Callable[[Situation], Iterator[Diagnostic]]
