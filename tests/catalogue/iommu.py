"""The rows whose rules are in planner/rules/iommu.py, and those of the same subject that have none."""

from __future__ import annotations

from tests.catalogue.row import Row

ROWS: tuple[Row, ...] = ()

# id -> why a plan cannot see it, or where else it is dealt with.
WITHOUT_RULE: dict[str, str] = {}
