"""Explanations of the codes of planner/rules/conditions.py."""

from __future__ import annotations

from launcher.codes import Explanation

EXPLANATIONS: tuple[Explanation, ...] = ()
