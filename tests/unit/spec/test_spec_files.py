"""tests/specs in: every broken file says exactly what is wrong with it and where, every good one loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from launcher.codes import all_explanations
from launcher.errors import Refused
from launcher.spec.load import load_spec
from launcher.spec.schema import spec_schema
from launcher.spec.yaml_tree import read_tree

SPECS = Path(__file__).parents[2] / "specs"
BAD = sorted((SPECS / "bad").glob("*.yaml"))
GOOD = sorted((SPECS / "good").glob("*.yaml"))
SCHEMA = Draft202012Validator(spec_schema())
BLIND = b"\n# schema: cannot see it"


def file_name(path: Path) -> str:
    return path.stem


def expected(file: Path) -> list[tuple[str, int, int]]:
    """`# expect: E107 3:9` in the first line, or in a file beside it where a comment would change the case."""
    beside = file.with_suffix(".yaml.expect")
    text = (beside if beside.exists() else file).read_bytes().split(b"\n")[0].decode()
    assert text.startswith("# expect: ")
    return [(code, int(line), int(column)) for code, line, column in re.findall(r"([EW]\d{3}) (\d+):(\d+)", text)]


def is_about_values(file: Path) -> bool:
    """A schema sees values; E0xx are about the text."""
    return all(code >= "E1" for code, _, _ in expected(file))


def found(file: Path) -> list[tuple[str, int, int]]:
    with pytest.raises(Refused) as refused:
        load_spec(file.read_bytes(), file.name, name=file.stem)
    places = [(one.code, one.where) for one in refused.value.diagnostics]
    return [(code, where.line, where.column) for code, where in places if where]


@pytest.mark.parametrize("file", BAD, ids=file_name)
def test_broken_file_says_everything_that_is_wrong_and_where(file: Path) -> None:
    assert found(file) == expected(file)


@pytest.mark.parametrize("file", GOOD, ids=file_name)
def test_good_file_loads(file: Path) -> None:
    assert load_spec(file.read_bytes(), file.name, name=file.stem).spec.name


@pytest.mark.parametrize("file", GOOD, ids=file_name)
def test_the_schema_accepts_what_the_model_accepts(file: Path) -> None:
    assert [error.message for error in SCHEMA.iter_errors(plain(file))] == []


@pytest.mark.parametrize("file", [file for file in BAD if is_about_values(file)], ids=file_name)
def test_the_schema_refuses_what_the_model_refuses_unless_the_file_says_why_it_cannot(file: Path) -> None:
    assert SCHEMA.is_valid(plain(file)) == (BLIND in file.read_bytes())


def test_every_code_of_a_spec_has_a_broken_file() -> None:
    """But those of the command line: files that cannot be read, and --set."""
    shown = {code for file in BAD for code, _, _ in expected(file)}
    known = {one.code for one in all_explanations() if one.code[1] in "01"}
    assert known - shown == {"E014", "E015", "E017", "E019", "E021"}
    assert shown <= known


def plain(file: Path) -> object:
    root = read_tree(file.read_bytes().decode("utf-8-sig"), file.name).root
    assert root is not None
    return root.plain()
