"""Explanations of the boot codes."""

from __future__ import annotations

from launcher.codes import Explanation

EXPLANATIONS: tuple[Explanation, ...] = ()
