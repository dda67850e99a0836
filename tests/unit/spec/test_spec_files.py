"""tests/specs in: every broken file says exactly what is wrong with it and where, every good one loads."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from launcher.codes import all_explanations
from launcher.errors import Refused
from launcher.spec.commas import made_whole
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


_WHOLE = {
    "boot": {"kernel": "./k", "initrd": "./i", "cmdline": "quiet"},
    "cpus": {"count": 2, "pin": [0, 1], "topology": {"sockets": 1, "cores": 2, "threads": 1}, "nested": False},
    "memory": [{"size": "1GiB", "pages": "thp", "node": 0, "at": "0x0"}],
    "devices": {
        "by-address": {"pci": "0000:02:00.0", "vf": 0, "match": None, "rom": "./rom", "allow": ["in-use"],
                       "network": {"mac": "52:54:00:12:34:56", "vlan": 0, "spoofcheck": True}},
        "by-kind": {"pci": None, "vf": None, "match": {"class": "gpu", "id": None, "node": 1}, "pick": "free",
                    "network": {"trust": False}},
        "short": "0000:03:00.0",
    },
    "disks": {"root": "./a.qcow2", "data": {"path": "./b", "format": "raw", "discard": True},
              "fast": {"socket": "/run/spdk.sock", "queues": 2}},
    "nics": {"lan": {"bridge": "br0", "mac": "52:54:00:12:34:57", "mtu": 9000}, "inet": "user",
             "other": {"user": True, "tap": None}},
    "shares": {"work": "./src", "ro": {"path": "/data", "readonly": True}},
    "vsock": {"cid": 42},
    "name": "vm",
    "confine": "auto",
}  # fmt: skip


def _places(value: object, path: tuple[object, ...] = ()) -> Iterator[tuple[object, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in items:
        yield (*path, key)
        yield from _places(one, (*path, key))


def _with_null(place: tuple[object, ...]) -> dict[str, Any]:
    spec: dict[str, Any] = deepcopy(_WHOLE)
    holder: Any = spec
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = None
    return spec


@pytest.mark.parametrize("place", list(_places(_WHOLE)), ids=lambda place: ".".join(map(str, place)))
def test_schema_and_reader_agree_where_null_may_stand(place: tuple[object, ...]) -> None:
    spec = _with_null(place)
    try:
        load_spec(json.dumps(spec), "vm.json", name="vm")
    except Refused:
        assert not SCHEMA.is_valid(spec)
    else:
        assert SCHEMA.is_valid(spec)


def test_every_code_of_a_spec_has_a_broken_file() -> None:
    """But those of the command line: files that cannot be read, --set, what `import` reads and `validate` mends."""
    shown = {code for file in BAD for code, _, _ in expected(file)}
    known = {one.code for one in all_explanations() if one.code[1] in "01"}
    by_command = {"E014", "E015", "E017", "E019", "E021", "E023", "E024", "E025", "E026", "E027", "E028", "E029"}
    assert known - shown == by_command
    assert shown <= known


def plain(file: Path) -> object:
    root = read_tree(file.read_bytes().decode("utf-8-sig"), file.name).root
    assert root is not None
    return made_whole(root)[0].plain()
