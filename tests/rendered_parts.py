"""The models of a spec in, launcher/spec/parts.py out: their records, and how what is valid is read without pydantic.

Types and defaults are those of the fields; how a value is read and written is taken from the core schema that pydantic
makes of them. What this does not know is a KeyError here, and no rule that is forgotten there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import launcher
from launcher.spec.fields import SECTIONS
from launcher.spec.section import Section

HEAD = '''"""The parts of a spec, and how each is read and written. Made from the model by `./dev generate`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from launcher.record import field, record
from launcher.spec import addresses, consent, cpu_list, scalars, served, short_forms, sizes, whole
from launcher.spec.reading import Form, Key, by_name, each, lengthened, number, one_of, optional, truth
from launcher.typed import Any, Literal
from launcher.values import Mdev, PciAddress
'''
ROOM = "launcher.spec."
PARTS = Path(launcher.__file__).parent / "spec" / "parts.py"


def parts_text() -> str:
    """Whoever is in another comes before it."""
    order = sorted(SECTIONS, key=lambda name: (-len(name.split(".")), not name, name))
    sections = [SECTIONS[name] for name in order]
    names = [
        "SECTIONS: dict[str, Form[Any]] = {",
        *(f'    "{name}": {_constant(one.__name__)},' for name, one in SECTIONS.items()),
    ]
    made = (f"{_record(one)}\n\n{_form(one)}" for one in sections)
    return "\n\n".join([HEAD, *made]) + "\n" + "\n".join([*names, "}\n"])


def _record(section: Any) -> str:
    """What has a default comes last, in the order of the model."""
    fields = sorted(section.model_fields.items(), key=lambda named: not named[1].is_required())
    lines = [f"    {name}: {_type(one.annotation)}{_default(one)}" for name, one in fields]
    head = ["@record", f"class {section.__name__}:", f'    """{section.__doc__}"""', ""]
    return "\n".join(
        [*head, *lines, "    said: frozenset[str] = frozenset()  # the fields that the spec names itself\n"]
    )


def _default(one: Any) -> str:
    if one.is_required():
        return ""
    return (
        " = field(default_factory=lambda: MappingProxyType({}))" if one.default_factory else f" = {_text(one.default)}"
    )


def _text(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _type(kind: Any) -> str:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _type(inner[0])
    if origin in (Union, UnionType):
        return " | ".join(map(_type, inner))
    if origin is Literal:
        return f"Literal[{', '.join(map(_text, inner))}]"
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if one is ... else _type(one) for one in inner)}]"
    return "None" if kind is NoneType else str(kind.__name__)


def _form(section: type[Section]) -> str:
    """`_whole`, its validator, is the rule of the same section in launcher/spec/whole.py."""
    schema: Any = section.__pydantic_core_schema__
    known = {one["ref"]: one for one in schema.get("definitions", ())}
    found = _resolved(schema.get("schema", schema) if schema["type"] == "definitions" else schema, known)
    has_rules = found["type"] == "function-after"
    fields = (found["schema"] if has_rules else found)["schema"]["fields"]
    lines = [
        f'        "{one.alias or name}": {_key(name, fields[name]["schema"], known)},'
        for name, one in section.model_fields.items()
    ]
    rules = [
        f"    whole.of_{''.join(f'_{one.lower()}' if one.isupper() else one for one in section.__name__).lstrip('_')},"
    ]
    name = _constant(section.__name__)
    return "\n".join(
        [f"{name} = Form(", f"    {section.__name__},", "    {", *lines, "    },", *(rules if has_rules else ()), ")\n"]
    )


def _constant(name: str) -> str:
    return "".join(f"_{one}" if one.isupper() else one.upper() for one in name).lstrip("_")


def _resolved(schema: Any, known: Mapping[str, Any]) -> Any:
    while schema["type"] == "definition-ref":
        schema = known[schema["schema_ref"]]
    return schema


def _key(name: str, schema: Any, known: Mapping[str, Any]) -> str:
    schema = schema["schema"] if schema["type"] == "default" else schema
    show = _shown(schema)
    return f'Key("{name}", {_read(schema, known)}{f", {show}" if show else ""})'


def _shown(schema: Any) -> str:
    """Lists and mappings are written as such anyway; what PlainValidator adds by itself returns what it gets."""
    how = schema.get("serialization", {"type": ""})
    if how["type"] == "function-plain" and how["function"] not in (list, dict):
        return _name(how["function"])
    return _shown(schema["schema"]) if schema["type"] == "nullable" else ""


def _read(schema: Any, known: Mapping[str, Any]) -> str:
    schema = _resolved(schema, known)
    return READ[schema["type"]](schema, known)


def _name(function: Any) -> str:
    return ".".join(
        filter(None, [function.__module__.removeprefix(ROOM).removeprefix("builtins"), function.__qualname__])
    )


def _whole(schema: Any, known: Mapping[str, Any]) -> str:
    """After validators: those of a section are in its Form, and the names of devices are frozen where they are read."""
    inner, after = _resolved(schema["schema"], known), schema["function"]["function"]
    if inner["type"] == "model":
        return _read(inner, known)
    if inner["type"] == "str":
        return _name(after)
    return {MappingProxyType: _read(inner, known)}[after]


def _before(schema: Any, known: Mapping[str, Any]) -> str:
    return f"lengthened({_name(schema['function']['function'])}, {_read(schema['schema'], known)})"


READ: dict[str, Callable[[Any, Mapping[str, Any]], str]] = {
    "function-plain": lambda schema, _: _name(schema["function"]["function"]),
    "function-before": _before,
    "function-after": _whole,
    "model": lambda schema, _: f"{_constant(schema['cls'].__name__)}.read",
    "int": lambda schema, _: f"number({schema['ge']}, {schema['le']})",
    "bool": lambda *_: "truth",
    "literal": lambda schema, _: f"one_of({', '.join(map(_text, schema['expected']))})",
    "nullable": lambda schema, known: f"optional({_read(schema['schema'], known)})",
    "tuple": lambda schema, known: f"each({_read(schema['items_schema'][schema['variadic_item_index']], known)})",
    "dict": lambda schema, known: (
        f"by_name({_read(schema['keys_schema'], known)}, {_read(schema['values_schema'], known)})"
    ),
}


if __name__ == "__main__":
    PARTS.write_text(parts_text(), encoding="utf-8")
