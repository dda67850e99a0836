"""Any text in, a spec or Refused out: no traceback, no word of the libraries, and every diagnostic has a place."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from launcher.codes import explanation
from launcher.errors import Refused, WrongUsage
from launcher.spec.fields import all_fields
from launcher.spec.load import load_spec
from tests.budget import runs
from tests.mutations import DAMAGE, damaged

GOOD = (Path(__file__).parents[2] / "specs" / "good" / "every-field.yaml").read_text()
WORDS = """
devices: memory: cpus: boot: name gpu pci match at size pin vf x-a &a *a <<: !!x --- ... ? | > # { } [ ] , : - ' " {} []
0000:02:00.0 60 1e37 8-15 0x10 .inf null ~ yes true 1GiB @ ` é "\\x00" "\\U00110000" "\\ud800"
"""
SPACES = [" ", "\n", "\n  ", "- ", ": ", "\t", "\r", "\u2028", "%YAML 1.3\n", "9" * 80]
PIECES = st.sampled_from([*WORDS.split(), *SPACES])


def check(text: str | bytes, *sets: str) -> None:
    try:
        load_spec(text, "any.yaml", sets=sets, name="any")
    except (Refused, WrongUsage) as refused:
        for one in refused.diagnostics:
            assert explanation(one.code), one
            assert one.where
            assert one.where.line >= 1, one
            assert not any(word in one.message for word in ("pydantic", "Input should", "ruamel", "NoneType")), one


@settings(max_examples=runs(300), deadline=None)
@given(st.text() | st.binary() | st.lists(PIECES, max_size=40).map("".join))
def test_any_text_is_answered(text: str | bytes) -> None:
    check(text)


@settings(max_examples=runs(300), deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.integers(0, 12), PIECES), min_size=1, max_size=4))
def test_any_damage_to_a_good_file_is_answered(damage: list[tuple[int, int, str]]) -> None:
    text = GOOD
    for start, length, piece in damage:
        text = text[:start] + piece + text[start + length :]
    check(text)


@pytest.mark.parametrize("field", all_fields())
def test_a_number_that_is_none_is_answered_in_every_field(field: str) -> None:
    places = [name for name in field.split(".") if name]
    if places[0] == "memory" and len(places) > 1:
        places.insert(1, "0")
    elif places[0] == "devices" and len(places) > 1:
        places.insert(1, "gpu")
    for value in (".nan", ".inf", "-.inf", "1e400"):
        check(GOOD, f"{'.'.join(places)}={value}")


@settings(max_examples=runs(200), deadline=None)
@given(st.lists(st.lists(PIECES | st.sampled_from(["=", ".", "devices.gpu.", "memory.0"]), max_size=6).map("".join)))
def test_any_set_is_answered(sets: list[str]) -> None:
    check(GOOD, *sets)


@cache
def good_tree() -> Any:
    return YAML(typ="safe").load(GOOD)


@settings(max_examples=runs(300), deadline=None)
@given(DAMAGE)
def test_any_wrong_value_in_a_good_file_is_answered(damage: list[tuple[int, str, Any, int]]) -> None:
    """Of the right shape, as programs write it: JSON is YAML."""
    check(json.dumps(damaged(good_tree(), damage)))
