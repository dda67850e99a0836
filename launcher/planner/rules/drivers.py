"""Rules about groups, drivers, virtual functions, and who uses a device now. Pure."""

from __future__ import annotations

from launcher.planner.rules.rule import Rule

RULES: tuple[Rule, ...] = ()
