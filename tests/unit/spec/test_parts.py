"""What is valid is read without pydantic, as the models would read it; what they refuse is not."""

from __future__ import annotations

import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from launcher.spec.complaints import judged
from launcher.spec.model import VmSpec
from launcher.spec.parts import SECTIONS, VM_SPEC
from launcher.spec.resolved import read_resolved
from tests.budget import runs

ROOT = Path(__file__).parents[3]
FILES = sorted([*(ROOT / "tests" / "specs" / "good").glob("*.yaml"), *(ROOT / "examples").glob("*.yaml")])


def plain(file: Path) -> dict[str, Any]:
    found = YAML(typ="safe", pure=True).load(file.read_text(encoding="utf-8-sig"))
    return {"name": "vm", **{key: value for key, value in found.items() if not key.startswith("x-")}}


SPECS = [plain(file) for file in FILES]
EVERY = plain(ROOT / "tests" / "specs" / "good" / "every-field.yaml")
UUID = "c9f3a6b0-1111-4222-8333-444455556666"
VALUES = st.sampled_from(
    [True, False, None, 0, 1, 2, 4096, 4097, -1, 10**30, 1.0, 0.5, "", "a", "1", "8-15", "1GiB", "3KiB", "0x40000000",
     "0000:01:00.0", "00:10.0", "10de:2684", "gpu", "nvme", "0302", "thp", "free", "attach", "never", "required",
     "in-use", "in-use=eth0", "a\0b", "\ud800", [], [1, 2], ["no-reset"], ["8", 9], (1,), {}, {"in-use": "eth0"},
     [{"in-use": ["a", "b"]}], {"cores": 2}, {"count": 4}, {"class": "gpu"}, [{"size": "1GiB"}], {"a": "01:00.0"},
     "user", "auto", "br0", "./a.img", {"path": "./a.img"}, {"user": {}}, 3, 68, {"cid": 3}, {"work": "./src"},
     "a=b,c=d", "./src:/src", "52:54:00:12:34:56", "53:54:00:12:34:56", 4094, 4095,
     {"mac": "52:54:00:aa:BB:cc"}, {"vlan": 0}, {"mac": None}, UUID, {"uuid": UUID}, {"mdev": UUID},
     {"parent": "mtty", "type": "mtty-2"}, {"parent": "0000:01:00.0"}, {"uuid": UUID, "type": "mtty-2"}]
)  # fmt: skip
KEYS = st.sampled_from([*{key: 0 for form in SECTIONS.values() for key in form.keys}, "class_", "said", "x-a"])


def changed(spec: dict[str, Any], way: list[int], key: str, value: object) -> dict[str, Any]:
    """Somewhere inside, as `way` leads, a key has the value; None is one that goes."""
    found = deepcopy(spec)
    inside: Any = found
    for turn in way:
        deeper = [
            one for one in (inside.values() if isinstance(inside, dict) else inside) if isinstance(one, dict | list)
        ]
        if not deeper:
            break
        inside = deeper[turn % len(deeper)]
    if isinstance(inside, list):
        inside.append(deepcopy(value))
    elif value is None:
        inside.pop(key, None)
    else:
        inside[key] = deepcopy(value)
    return found


def read(spec: dict[str, Any]) -> Any:
    try:
        return VM_SPEC.read(spec)
    except ValueError:
        return None


def modelled(spec: dict[str, Any]) -> VmSpec | None:
    try:
        return VmSpec.model_validate(spec)
    except ValidationError:
        return None


@pytest.mark.parametrize("spec", SPECS, ids=[one.name for one in FILES])
def test_a_good_spec_is_read_and_written_as_its_model(spec: dict[str, Any]) -> None:
    model = VmSpec.model_validate(spec)
    part = VM_SPEC.read(spec)
    assert part == model.as_part()
    assert VM_SPEC.plain(part) == model.model_dump(mode="json", by_alias=True)
    short = model.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    empty: dict[str, Any] = {"devices": {}, "disks": {}, "nics": {}, "shares": {}}
    assert empty | VM_SPEC.plain(part, short=True) == empty | short


@settings(max_examples=runs(1500), deadline=None)
@given(
    st.sampled_from(SPECS) | st.just(EVERY),
    st.lists(st.tuples(st.lists(st.integers(0, 9), max_size=4), KEYS, VALUES), min_size=1, max_size=3),
)
def test_a_changed_spec_is_read_if_and_only_if_its_model_takes_it(
    spec: dict[str, Any], changes: list[tuple[list[int], str, object]]
) -> None:
    for way, key, value in changes:
        spec = changed(spec, way, key, value)
    model = modelled(spec)
    assert read(spec) == (None if model is None else model.as_part())


def test_what_is_in_doubt_is_judged_by_the_model() -> None:
    """A mapping that is no dict is valid to pydantic, and somebody else's to say here."""

    class Other(dict[str, Any]):
        pass

    given = Other(EVERY)
    assert read(given) is None
    assert judged(given, frozenset()) == (VM_SPEC.read(EVERY), ())


def test_the_long_form_is_read_again() -> None:
    part = VM_SPEC.read(EVERY)
    again = read_resolved(VM_SPEC.plain(part), range(len(part.memory)))
    assert VM_SPEC.plain(again) == VM_SPEC.plain(part)


@pytest.mark.parametrize("words", [["validate", "examples/hello.yaml"], ["plan", "examples/hello.yaml"]])
def test_a_good_spec_needs_no_pydantic(words: list[str]) -> None:
    code = f"import sys; from launcher.cli import main; main({words}); print('pydantic_core' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"
