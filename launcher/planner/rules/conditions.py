"""Rules about resets, power, BARs, interrupts: the state a single device is in. Pure."""

from __future__ import annotations

from launcher.planner.rules.rule import Rule

RULES: tuple[Rule, ...] = ()
