"""All rules, in the order in which a host is built: firmware, kernel, memory, devices. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.planner.rules import (
    access,
    bars,
    binding,
    boot,
    bounds,
    choices,
    confinement,
    cpus,
    drivers,
    graphics,
    groups,
    guest_linux,
    in_use,
    interrupts,
    iommu,
    isolation,
    kvm,
    links,
    memory,
    memory_limits,
    modules,
    numa,
    quirks,
    ram,
    resets,
    roms,
    slots,
    state_folder,
    tasks,
    unread,
    virtual_functions,
    without_acpi,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Diagnostic
    from launcher.planner.decided import Situation
    from launcher.planner.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *kvm.RULES,
    *state_folder.RULES,
    *iommu.RULES,
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
    *choices.RULES,
    *groups.RULES,
    *slots.RULES,
    *binding.RULES,
    *isolation.RULES,
    *drivers.RULES,
    *virtual_functions.RULES,
    *in_use.RULES,
    *bars.RULES,
    *resets.RULES,
    *quirks.RULES,
    *interrupts.RULES,
    *graphics.RULES,
    *numa.RULES,
    *links.RULES,
    *unread.RULES,
)


def findings(situation: Situation) -> Iterator[Diagnostic]:
    """Of binding last: the command for it is given where nothing else is in the way."""
    found = [one for rule in RULES for one in rule.check(situation)]
    yield from found
    yield from binding.check_binding(situation, found)
