"""The name of a format in, its JSON Schema on stdout out."""

from __future__ import annotations

import json
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

# name -> the module and the function that make it, so that only the one asked for is imported
SCHEMAS = {
    "spec": ("launcher.spec.schema", "spec_schema"),
    "editor": ("launcher.spec.editor_schema", "editor_schema"),
    "plan": ("launcher.api.schemas", "plan_schema"),
    "facts": ("launcher.api.schemas", "facts_schema"),
    "placement": ("launcher.api.schemas", "placement_schema"),
    "report": ("launcher.api.schemas", "report_schema"),
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
    module, function = SCHEMAS[name]
    made: dict[str, Any] = getattr(import_module(module), function)()
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"
