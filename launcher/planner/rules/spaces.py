"""Rules about memory that is locked, and guest addresses. Pure."""

from __future__ import annotations

from launcher.planner.rules.rule import Rule

RULES: tuple[Rule, ...] = ()
