"""Rules about the machine, its IOMMU, its kernel and who runs `up`. Pure."""

from __future__ import annotations

from launcher.planner.rules.rule import Rule

RULES: tuple[Rule, ...] = ()
