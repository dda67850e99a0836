"""The name of a section or field in, what the model says about it out, for `explain`, docs and typos. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined, ValidationError

from launcher.record import record
from launcher.spec.model import VmSpec
from launcher.spec.model_of_devices import Device, Match, Network, Vgpu
from launcher.spec.model_of_machine import Bank, Boot, Cpus, Topology
from launcher.spec.model_of_served import CloudInit, Disk, Nic, Share, Vsock
from launcher.spec.yaml_words import in_quotes, is_plain

if TYPE_CHECKING:
    from collections.abc import Callable

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
    "devices.mdev": Vgpu,
    "devices.network": Network,
    "disks": Disk,
    "nics": Nic,
    "shares": Share,
    "vsock": Vsock,
    "cloud-init": CloudInit,
}

_BETWEEN_KEYS = ("E102", "E121", "E122", "E133", "E140", "E141")


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


def is_needed(field: str) -> bool:
    found = all_fields().get(field)
    return found is not None and found.required


def stands(field: str, value: object) -> bool:
    """Whether the value may stand in the field, whatever is around it."""
    section, _, name = field.rpartition(".")
    try:
        SECTIONS[section].model_validate({name: value})
    except ValidationError as refusal:
        errors = refusal.errors(include_url=False)
        return not any(one["loc"][:1] == (name,) and one["type"] not in _BETWEEN_KEYS for one in errors)
    return True


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


def as_yaml(value: Any, *, inside: bool = False, is_plain: Callable[..., bool] = is_plain) -> str:
    """An example or a default, on one line; `inside` as of `is_plain`, which says what needs no quotes."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case dict():
            pairs = (f"{key}: {as_yaml(one, inside=True, is_plain=is_plain)}" for key, one in value.items())
            return "{" + ", ".join(pairs) + "}"
        case list() | tuple():
            return "[" + ", ".join(as_yaml(one, inside=True, is_plain=is_plain) for one in value) + "]"
        case str():
            return value if is_plain(value, inside=inside) else in_quotes(value)
    return str(value)
