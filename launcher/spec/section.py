"""What all sections of the model have in common, and how their JSON Schemas say it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from launcher.spec import parts

BootOrder = Annotated[int, Field(ge=1, le=999)]


class Section(BaseModel):
    """What all parts of a spec have in common: frozen, strict, no key that is not declared."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @property
    def said(self) -> frozenset[str]:
        """The fields that the spec names itself."""
        return frozenset(self.model_fields_set)

    def as_part(self) -> Any:
        """The record of it, as `launcher.spec.parts` reads what is valid at once."""
        values = {name: _as_part(getattr(self, name)) for name in type(self).model_fields}
        return getattr(parts, type(self).__name__)(**values, said=self.said)


def _as_part(value: Any) -> Any:
    if isinstance(value, Section):
        return value.as_part()
    if isinstance(value, tuple):
        return tuple(map(_as_part, value))
    return MappingProxyType({key: _as_part(one) for key, one in value.items()}) if isinstance(value, Mapping) else value


def is_(key: str, value: object) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"const": value}}}


def is_there(key: str) -> dict[str, Any]:
    return {"required": [key], "properties": {key: {"not": {"type": "null"}}}}
