"""The JSON Schemas of plan, facts, placement and report, draft 2020-12, made from their records."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from launcher.host.facts import HostFacts
from launcher.plan.outcome import Report
from launcher.plan.placement import Placement
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.plan.steps import STEPS

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_PLACE: Schema = {"type": ["integer", "null"], "minimum": 1}
_DIAGNOSTIC: Schema = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "pattern": "^[EW][0-9]{3}$"},
        "severity": {"enum": ["error", "warning"]},
        "message": _TEXT,
        "file": _MAYBE_TEXT,
        "line": _PLACE,
        "column": _PLACE,
        "end_column": _PLACE,
        "path": _MAYBE_TEXT,
        "evidence": {"type": "array", "items": _TEXT},
        "help": {"type": "array", "items": _TEXT},
        "fix": _MAYBE_TEXT,
    },
}
_DIAGNOSTIC |= {"required": list(_DIAGNOSTIC["properties"]), "additionalProperties": False}
_ASSUMPTION: Schema = {
    "type": "object",
    "properties": {"fact": _TEXT, "is": {}, "at_least": {"type": "integer"}},
    "required": ["fact"],
    "minProperties": 2,
    "maxProperties": 2,
    "additionalProperties": False,
}


def facts_schema() -> Schema:
    return _whole("vmlaunch facts", _schema_of(HostFacts))


def report_schema() -> Schema:
    return _whole("vmlaunch report", _with_lists(_schema_of(Report), {"diagnostics": _DIAGNOSTIC}))


def placement_schema() -> Schema:
    made = _schema_of(Placement)
    made["$defs"]["SpecPlacement"] = _with_lists(made["$defs"]["SpecPlacement"], {"diagnostics": _DIAGNOSTIC})
    return _whole("vmlaunch placement", _with_lists(made, {"unread": _DIAGNOSTIC}))


def plan_schema() -> Schema:
    made = _schema_of(Plan)
    steps = [_step(kind, made["$defs"]) for kind in STEPS.values()]
    lists = {"steps": {"oneOf": steps}, "assumes": _ASSUMPTION, "diagnostics": _DIAGNOSTIC}
    return _whole("vmlaunch plan", _with_lists(made, lists))


def _step(kind: type[Step], definitions: Schema) -> Schema:
    """What plan.codec writes for it; the definitions of its arguments join the plan's."""
    arguments = _schema_of(kind)
    definitions |= arguments.pop("$defs", {})
    properties = {
        "n": {"type": "integer", "minimum": 1},
        "op": {"const": kind.op},
        "by": {"const": kind.by},
        "args": arguments,
        "undo": {"type": "object"},
        "device": _MAYBE_TEXT,
        "text": _TEXT,
    }
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _schema_of(kind: Any) -> Schema:
    return TypeAdapter(kind).json_schema(mode="serialization")


def _with_lists(schema: Schema, lists: Schema) -> Schema:
    """The lists that plan.codec writes in a form of its own."""
    for name in ("Assumption", "Diagnostic", "Step", "Where"):
        schema.get("$defs", {}).pop(name, None)
    properties = schema["properties"] | {name: {"type": "array", "items": items} for name, items in lists.items()}
    return schema | {"properties": properties}


def _whole(title: str, schema: Schema) -> Schema:
    return {"$schema": GenerateJsonSchema.schema_dialect, **schema, "title": title}
