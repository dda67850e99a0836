"""Rules about IOMMU groups: who else is in them, and whether they are what they seem. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.host.facts import Config
from launcher.planner.functions import is_bridge
from launcher.planner.groups import harmless
from launcher.planner.linux import values_of
from launcher.planner.places import in_spec
from launcher.planner.rules.rule import Rule
from launcher.planner.rules.words import listed, shown
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.host.facts import IommuGroup, PciFunction
    from launcher.planner.decided import Situation

# Access Control Services, the extended capability by which a port keeps its devices apart.
_ACS = "000d"


def _pretended_groups(it: Situation) -> Iterator[Diagnostic]:
    """A patch that no released kernel has; it splits groups that the hardware does not isolate."""
    values = values_of(it.host.linux, "pcie_acs_override")
    if it.passing.choices and values:
        fact = f"pcie_acs_override={values[-1]} splits IOMMU groups where the hardware does not isolate"
        evidence = ("a guest's device may reach the memory of devices in other groups",)
        help_ = ("boot the host without `pcie_acs_override=` before it runs guests that you do not trust",)
        yield Diagnostic("W231", fact, in_spec("devices"), evidence, help_)


def _bystanders(it: Situation) -> Iterator[Diagnostic]:
    """Endpoints of other slots that share a group with a device: nobody has them while the VM runs."""
    taken = {one.function.address for one in it.passing.taken}
    slots = {address.slot for address in taken}
    for group in it.passing.groups:
        idle = [
            one
            for one in it.members(group)
            if one.address not in taken
            and one.address.slot not in slots
            and not is_bridge(one)
            and harmless(one, it.host.kernel)
        ]
        if idle:
            yield _shared(it, group, idle)


def _shared(it: Situation, group: IommuGroup, idle: list[PciFunction]) -> Diagnostic:
    choice, function = next((choice, one) for choice, one in it.chosen() if one.group == group.number)
    others = f"{len(idle)} other {'device' if len(idle) == 1 else 'devices'}"
    fact = f"{choice.alias}: IOMMU group {group.number} holds {others}, which nobody else can use while the VM runs"
    evidence = listed([shown(one) for one in idle])
    where = in_spec(f"devices.{choice.alias}.pci")
    if _is_conventional(function):
        help_ = ("conventional PCI devices behind one bridge cannot be told apart: pass all of them, or none",)
        return Diagnostic("W234", fact, where, evidence, help_)
    help_ = ("switch on ACS in the firmware, or put the card into a slot of the CPU's own",)
    return Diagnostic("W234", fact, where, (*evidence, *_ports_without_acs(it, function)), help_)


def _is_conventional(one: PciFunction) -> bool:
    return isinstance(one.config, Config) and not one.config.dead and one.config.port is None


def _ports_without_acs(it: Situation, one: PciFunction) -> Iterator[str]:
    """Only what was read: extended capabilities are hidden from most users."""
    port = it.host_functions.get(one.parent) if one.parent else None
    extended = port.config.extended if port and isinstance(port.config, Config) else None
    if port and extended is not None and _ACS not in extended:
        yield f"{port.address}, the port above, has no Access Control Services (ACS)"


RULES: tuple[Rule, ...] = (
    Rule("policy", _pretended_groups),
    Rule("policy", _bystanders),
)
