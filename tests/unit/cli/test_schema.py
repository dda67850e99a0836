"""What `vmlaunch schema` publishes: each schema under its own name, and the editors' as SchemaStore takes it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator
from jsonschema.validators import validator_for

from launcher.cli.schema import SCHEMAS, schema_text

DOCS = Path(__file__).parents[3] / "docs" / "editors.md"
# of draft 7, and what SchemaStore knows besides (its cli.js)
STANDARD = {*Draft7Validator.META_SCHEMA["properties"]}
KNOWN = {"defaultSnippets", "markdownDescription", "enumDescriptions", "markdownEnumDescriptions"}
OF_SCHEMAS = ("properties", "patternProperties", "definitions")  # names of keys, and not keywords, are in these
OF_VALUES = ("defaultSnippets", "examples", "default", "const", "enum", "enumDescriptions", "markdownEnumDescriptions")


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_valid_by_its_own_dialect_and_has_a_name_of_its_own(name: str) -> None:
    schema = json.loads(schema_text(name))
    validator_for(schema, default=None).check_schema(schema)
    assert list(schema)[:2] == ["$schema", "$id"]
    assert re.fullmatch("urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", schema["$id"])
    assert [one for one in SCHEMAS if json.loads(schema_text(one))["$id"] == schema["$id"]] == [name]


def test_references_are_found_under_the_name() -> None:
    checker = Draft202012Validator(json.loads(schema_text("spec")))
    assert checker.is_valid({"boot": {"kernel": "./a"}, "cpus": 1, "memory": "1GiB"})
    assert not checker.is_valid({"boot": {"kernel": 1}, "cpus": 1, "memory": "1GiB"})


def keywords(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from keywords(one)
    elif isinstance(schema, dict):
        for key, one in schema.items():
            yield key
            if key not in OF_VALUES:
                yield from keywords(list(one.values()) if key in OF_SCHEMAS else one)


def test_schema_store_is_told_of_the_keywords_that_it_does_not_know() -> None:
    section = DOCS.read_text().partition("## SchemaStore")[2]
    entry, options = (json.loads(one) for one in re.findall(r"```json\n(.*?)```", section, re.DOTALL))
    ((file, told),) = options.items()
    assert entry["url"].endswith(f"/{file}")
    assert {*keywords(json.loads(schema_text("editor")))} - STANDARD - KNOWN == {*told["unknownKeywords"]}
