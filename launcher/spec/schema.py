"""The JSON Schema of a spec, draft 2020-12, for editors and for checks without vmlaunch. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from launcher.spec.model import VmSpec

if TYPE_CHECKING:
    from pydantic_core import core_schema


class _NullIsAbsent(GenerateJsonSchema):
    """None in the model stands for a key that is absent; whether the key may be null is said below, for all keys."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        return {key: value for key, value in found.items() if key != "default" or value is not None}


def spec_schema() -> dict[str, Any]:
    made = VmSpec.model_json_schema(schema_generator=_NullIsAbsent)
    for one in (made, *made["$defs"].values()):
        if "properties" in one:
            _allow_null(one)
    return {"$schema": _NullIsAbsent.schema_dialect, **made, "title": "vmlaunch spec"}


def _allow_null(section: dict[str, Any]) -> None:
    """Of what is optional, as nulls.py reads it: and such a key is not there where one of several has to be."""
    properties, required = section["properties"], section.get("required", ())
    properties.update({key: _or_null(one) for key, one in properties.items() if key not in required})
    for choice in ("anyOf", "oneOf"):
        if choice in section:
            section[choice] = [_given(one["required"][0]) for one in section[choice]]
    if section.pop("minProperties", None):
        section["anyOf"] = [_given(key) for key in properties]
    if needs := section.pop("dependentRequired", None):
        partners = ({"if": _given(key), "then": _given(other)} for key, (other,) in needs.items())
        section["allOf"] = [*section.get("allOf", ()), *partners]


def _given(key: str) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What people read of the key, and what editors offer, stays as it is."""
    told = {key: value for key, value in schema.items() if key in ("title", "description", "examples", "default")}
    bare = {key: value for key, value in schema.items() if key not in told}
    ways = schema.get("anyOf", [bare])
    return {**told, "anyOf": [*ways, {"type": "null"}]}
