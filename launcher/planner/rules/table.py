"""All rules, in the order in which a host is built: firmware, kernel, memory, devices. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.planner.boot import check_boot
from launcher.planner.fitness import check_devices
from launcher.planner.kvm import check_cpus, check_kvm, check_state_folder
from launcher.planner.limits import check_locking, check_memory
from launcher.planner.placing import check_placing
from launcher.planner.rules import (
    access,
    bars,
    bounds,
    conditions,
    confinement,
    drivers,
    graphics,
    in_use,
    interrupts,
    iommu,
    isolation,
    modules,
    resets,
    spaces,
    tasks,
    unread,
    virtual_functions,
)
from launcher.planner.rules.rule import Rule, Situation

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Diagnostic

RULES: tuple[Rule, ...] = (
    Rule("kernel", lambda it: check_kvm(it.host)),
    Rule("policy", lambda it: check_state_folder(it.host)),
    *iommu.RULES,
    *modules.RULES,
    *access.RULES,
    Rule("kernel", lambda it: check_boot(it.files, it.ranges)),
    Rule("kernel", lambda it: check_cpus(it.spec, it.host)),
    Rule("kernel", lambda it: check_memory(it.spec, it.host)),
    Rule("kernel", lambda it: check_placing(it.spec.memory, it.ranges, it.reserved, it.limits())),
    Rule("kernel", lambda it: check_locking(it.host, it.locked)),
    *spaces.RULES,
    *bounds.RULES,
    *tasks.RULES,
    *confinement.RULES,
    Rule("kernel", lambda it: check_devices(it.passing, it.devices)),
    *isolation.RULES,
    *drivers.RULES,
    *virtual_functions.RULES,
    *in_use.RULES,
    *bars.RULES,
    *resets.RULES,
    *interrupts.RULES,
    *graphics.RULES,
    *conditions.RULES,
    *unread.RULES,
)


def findings(situation: Situation) -> Iterator[Diagnostic]:
    found = [one for rule in RULES for one in rule.check(situation)]
    yield from found
    yield from access.check_binding(situation, found)
