"""The name of a section or field in, what the model says about it out, for `explain`, docs and typos. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from launcher.record import record
from launcher.spec.model import Bank, Boot, Cpus, Device, Match, Network, Topology, VmSpec
from launcher.spec.yaml_text import resolve

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo

SECTIONS: dict[str, type[BaseModel]] = {
    "": VmSpec,
    "boot": Boot,
    "cpus": Cpus,
    "cpus.topology": Topology,
    "memory": Bank,
    "devices": Device,
    "devices.match": Match,
    "devices.network": Network,
}


@record
class FieldHelp:
    """One key of a spec as people read about it; `default` is None where the key has none."""

    key: str
    type: str
    required: bool
    default: Any
    description: str
    examples: tuple[Any, ...]


def keys_of(section: str) -> tuple[str, ...]:
    model = SECTIONS.get(section)
    return tuple(field.alias or name for name, field in model.model_fields.items()) if model else ()


def all_fields() -> dict[str, FieldHelp]:
    """Every key with its dotted name, in the order of the model: `devices`, `devices.pci`, `devices.match.class`."""
    return {
        one.key: one
        for section, model in SECTIONS.items()
        for name, field in model.model_fields.items()
        for one in [_help(f"{section}.{field.alias or name}".lstrip("."), field)]
    }


def _help(key: str, field: FieldInfo) -> FieldHelp:
    choices = _choices(field.annotation)
    kind = f"one of {', '.join(choices)}" if choices else field.title or "mapping"
    # `name` is required by the model and by nobody who writes a file
    required = field.is_required() and key != "name"
    default = None if field.default is PydanticUndefined else field.default
    return FieldHelp(key, kind, required, default, field.description or "", tuple(field.examples or ()))


def _choices(annotation: Any) -> tuple[str, ...]:
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    return choices if len(choices) > 1 else ()


def as_yaml(value: Any) -> str:
    """An example or a default, on one line."""
    match value:
        case bool():
            return str(value).lower()
        case dict():
            return "{" + ", ".join(f"{key}: {as_yaml(one)}" for key, one in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(as_yaml, value)) + "]"
        case str() if isinstance(resolve(value), str):
            return value
        case str():
            return f'"{value}"'
    return str(value)
