"""What we write fits the schemas that we publish, and what is not ours does not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from launcher.api.schemas import facts_schema, plan_schema, report_schema
from launcher.plan.codec import report_to_json
from launcher.plan.outcome import FORMAT_VERSION, End, RamReport, Report, StepOutcome, VcpuReport
from launcher.spec.schema import spec_schema

TESTS = Path(__file__).parent.parent.parent


@cache
def validator(schema: Callable[[], dict[str, Any]]) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema())
    return Draft202012Validator(schema())


def complaints(schema: Callable[[], dict[str, Any]], value: Any) -> list[str]:
    return [f"{one.json_path}: {one.message}" for one in validator(schema).iter_errors(value)]


def formats(schema: Any) -> Iterator[str]:
    """`format` with a text behind it is the keyword; a property may be called so, too."""
    for key, one in (
        schema.items() if isinstance(schema, dict) else enumerate(schema) if isinstance(schema, list) else ()
    ):
        yield from [one] if key == "format" and isinstance(one, str) else formats(one)


@pytest.mark.parametrize("schema", [facts_schema, plan_schema, report_schema, spec_schema])
def test_no_schema_takes_more_than_the_standards_own_keywords(schema: Callable[[], dict[str, Any]]) -> None:
    """ajv refuses a schema with a format, unless it is given another package."""
    assert list(formats(schema())) == []


@pytest.mark.parametrize("path", sorted(TESTS.glob("plans/*.json")), ids=lambda path: path.stem)
def test_golden_plans_fit_their_schema(path: Path) -> None:
    assert complaints(plan_schema, json.loads(path.read_text())) == []


@pytest.mark.parametrize("path", sorted(TESTS.glob("hosts/*.json")), ids=lambda path: path.stem)
def test_recorded_hosts_fit_their_schema(path: Path) -> None:
    assert complaints(facts_schema, json.loads(path.read_text())) == []


def test_a_report_fits_its_schema() -> None:
    report = Report(
        FORMAT_VERSION,
        "vm",
        "ended",
        7,
        "2026-01-01T00:00:00+00:00",
        1.5,
        vcpus=(VcpuReport(0, None, 3),),
        memory=(RamReport(0, 4096, "thp", None, False),),
        steps=(StepOutcome(1, "done"),),
        end=End("crash", "triple fault", 13, {"rip": 0xFFF0}),
    )
    assert complaints(report_schema, json.loads(json.dumps(report_to_json(report)))) == []


def test_a_plan_with_an_unknown_step_does_not_fit() -> None:
    plan = json.loads((sorted(TESTS.glob("plans/*.json"))[0]).read_text())
    plan["steps"][0]["op"] = "format-disk"
    assert complaints(plan_schema, plan)
