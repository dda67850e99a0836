"""What is read without json is what json reads; all else is left to it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.vms.small_json import LARGEST, read_small
from tests.budget import runs

STATE = {"name": "vm", "runner": [None, 449139], "started": "2026-11-30T01:31:55+00:00", "vcpus": 2, "tried": True}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)
PIECES = st.sampled_from([*'{}[],:"\\ \n\t-+.0123eE', "null", "true", "NaN", '"a"', '"a": 1', "é"])


def check(text: str) -> bool:
    """Whether it was read."""
    try:
        found = read_small(text.encode())
    except (ValueError, IndexError):
        return False
    assert repr(found) == repr(json.loads(text))
    return True


@pytest.mark.parametrize("value", [STATE, {}, [], [[], {}], {"a": {"b": [0, "x"]}}, None, 0, "text"])
@pytest.mark.parametrize("indent", [None, 1])
def test_states_are_read(value: Any, indent: int | None) -> None:
    assert check(json.dumps(value, indent=indent) + "\n")


@pytest.mark.parametrize(
    "text", ["", "[1,]", '{"a" 1}', "{,}", "01", "1.5", "1e3", "-1", '"\\n"', '"\n"', "[1 2]", "[1]]", "1-", " "]
)
def test_what_is_not_small_is_left_to_json(text: str) -> None:
    assert not check(text)


def test_a_large_one_is_left_to_json() -> None:
    assert not check(json.dumps("x" * LARGEST))


@settings(max_examples=runs(300), deadline=None)
@given(VALUES, st.sampled_from([None, 1, 3]))
def test_any_value_is_read_as_json_does(value: Any, indent: int | None) -> None:
    check(json.dumps(value, indent=indent))


@settings(max_examples=runs(500), deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_pieces_are_read_as_json_does(text: str) -> None:
    check(text)


@settings(max_examples=runs(300), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3), PIECES), max_size=3))
def test_any_damage_to_a_state_is_read_as_json_does(damage: list[tuple[int, int, str]]) -> None:
    text = json.dumps(STATE, indent=1)
    for start, length, piece in damage:
        text = text[:start] + piece + text[start + length :]
    check(text)
