"""The name of a format in, its JSON Schema on stdout out."""

from __future__ import annotations

import json
from importlib import import_module

from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

# name -> the module and the function that make it, so that only the one asked for is imported, and what it is called.
# There is no place on the web whose names we could give out; a UUID is nobody else's, and leads nowhere.
SCHEMAS = {
    "spec": ("launcher.spec.schema", "spec_schema", "7486c199-d74d-5227-8428-61febf3981a8"),
    "editor": ("launcher.spec.editor_schema", "editor_schema", "b5ba3429-518e-5749-8c9e-a413d0c468d7"),
    "plan": ("launcher.api.schemas", "plan_schema", "2a98999a-02c8-590b-9345-88e1fd92a295"),
    "facts": ("launcher.api.schemas", "facts_schema", "edc1b6f6-3753-5296-bfcc-856107a8e0b5"),
    "placement": ("launcher.api.schemas", "placement_schema", "092f87d4-9888-5a68-b00e-aee1d87206e1"),
    "report": ("launcher.api.schemas", "report_schema", "6b916b62-5add-524c-b804-be83d2e60ee3"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        nargs="?",
        choices=tuple(SCHEMAS),
        default="spec",
        help="which format (default: spec); `editor` is that of a spec, with what editors offer and say",
    )


def run(options: argparse.Namespace) -> int:
    print(schema_text(options.name), end="")
    return 0


def schema_text(name: str) -> str:
    """As schemas/ has it."""
    module, function, uuid = SCHEMAS[name]
    made: dict[str, Any] = getattr(import_module(module), function)()
    named = {"$schema": made["$schema"], "$id": f"urn:uuid:{uuid}", **made}
    return json.dumps(named, indent=2, ensure_ascii=False) + "\n"
