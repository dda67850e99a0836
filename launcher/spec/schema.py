"""The JSON Schema of a spec, draft 2020-12, for editors and for checks without vmlaunch. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from launcher.spec.model import VmSpec

if TYPE_CHECKING:
    from pydantic_core import core_schema


class _WithoutNull(GenerateJsonSchema):
    """None stands for a key that is absent. The schema is for editors: people leave a key out, and that programs write
    `null` for it is between them and the reader."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        return {key: value for key, value in found.items() if key != "default" or value is not None}


def spec_schema() -> dict[str, Any]:
    made = VmSpec.model_json_schema(schema_generator=_WithoutNull)
    return {"$schema": _WithoutNull.schema_dialect, **made, "title": "vmlaunch spec"}
