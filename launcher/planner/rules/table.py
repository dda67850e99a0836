"""All rules, in the order in which a host is built: firmware, kernel, memory; and devices, where a VM has any. Pure."""

from __future__ import annotations

from launcher.planner.rules import (
    access,
    boot,
    bounds,
    confinement,
    cpus,
    guest_linux,
    kvm,
    memory,
    memory_limits,
    modules,
    ram,
    roms,
    state_folder,
    tasks,
    without_acpi,
)
from launcher.planner.served_by import wanted_engines
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Diagnostic
    from launcher.planner.decided import Situation
    from launcher.planner.rules.rule import Rule

_FIRST: tuple[Rule, ...] = (*kvm.RULES, *state_folder.RULES)
_OTHERS: tuple[Rule, ...] = (
    *modules.RULES,
    *access.RULES,
    *boot.RULES,
    *guest_linux.RULES,
    *roms.RULES,
    *without_acpi.RULES,
    *cpus.RULES,
    *memory.RULES,
    *ram.RULES,
    *memory_limits.RULES,
    *bounds.RULES,
    *tasks.RULES,
    *confinement.RULES,
)
RULES = (*_FIRST, *_OTHERS)


def findings(situation: Situation) -> Iterator[Diagnostic]:
    """Those about devices, and about what engines serve, are not imported for a VM without."""
    found = [one for rule in _rules(situation) for one in rule.check(situation)]
    if situation.spec.boot.firmware is not None:
        from launcher.planner.rules import firmware, firmware_memory

        rules = (*firmware.RULES, *firmware_memory.RULES)
        found += [one for rule in rules for one in rule.check(situation)]
    if wanted_engines(situation.spec) is not None:
        from launcher.planner.rules.of_served import findings_of_served

        found += findings_of_served(situation)
    if situation.terms.now is not None:
        from launcher.planner.rules import recorded

        found += [one for rule in recorded.RULES for one in rule.check(situation)]
    if not situation.spec.devices:
        return iter(found)
    from launcher.planner.rules.of_devices import findings_of_devices

    return findings_of_devices(situation, found)


def _rules(situation: Situation) -> tuple[Rule, ...]:
    """An IOMMU matters where a VM has devices."""
    if not situation.spec.devices:
        return RULES
    from launcher.planner.rules import iommu

    return (*_FIRST, *iommu.RULES, *_OTHERS)
