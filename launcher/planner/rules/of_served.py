"""Rules about disks, networks, shares and vsock; not imported for a VM that has none of them. Pure."""

from __future__ import annotations

from launcher.planner.rules import (
    backing,
    cloud_init,
    disk_images,
    disk_room,
    disk_use,
    engines,
    name_spaces,
    nics,
    shared_memory,
    shares,
    vhost,
)
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.errors import Diagnostic
    from launcher.planner.decided import Situation
    from launcher.planner.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    *engines.RULES,
    *disk_images.RULES,
    *backing.RULES,
    *disk_use.RULES,
    *disk_room.RULES,
    *vhost.RULES,
    *nics.RULES,
    *shares.RULES,
    *name_spaces.RULES,
    *shared_memory.RULES,
    *cloud_init.RULES,
)


def findings_of_served(situation: Situation) -> Iterator[Diagnostic]:
    return (one for rule in RULES for one in rule.check(situation))
