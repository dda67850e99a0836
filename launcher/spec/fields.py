"""The name of a section or field in, what the model says about it out, for `explain`, docs and typos. Pure."""

from __future__ import annotations

from json import dumps
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined, ValidationError

from launcher.patterns import re
from launcher.record import record
from launcher.spec.model import VmSpec
from launcher.spec.model_of_devices import Device, Match, Network, Vgpu
from launcher.spec.model_of_machine import Bank, Boot, Cpus, Topology
from launcher.spec.model_of_served import CloudInit, Disk, Nic, Share, Vsock
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
    "devices.mdev": Vgpu,
    "devices.network": Network,
    "disks": Disk,
    "nics": Nic,
    "shares": Share,
    "vsock": Vsock,
    "cloud-init": CloudInit,
}


# Text that needs no quotes wherever it stands, in a list or a mapping in brackets too.
_FIRST = r"(?:[A-Za-z0-9_./~]|-(?=[A-Za-z0-9_./~-]))"  # a - alone begins a list
_PLAIN = rf"{_FIRST}(?:[A-Za-z0-9_./~=+@%-]| (?=[A-Za-z0-9_./~=+@%-])|:(?=[A-Za-z0-9_./~=+@%-]))*"


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


def as_yaml(value: Any, *, inside: bool = False) -> str:
    """An example or a default, on one line; `inside` a list or a mapping in brackets, where a comma ends it."""
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case dict():
            return "{" + ", ".join(f"{key}: {as_yaml(one, inside=True)}" for key, one in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(as_yaml(one, inside=True) for one in value) + "]"
        case str() if re.fullmatch(_PLAIN, value if inside else value.replace(",", "")) and isinstance(
            resolve(value), str
        ):
            return value
        case str():
            return dumps(value, ensure_ascii=False)
    return str(value)
