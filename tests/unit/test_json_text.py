"""What is read and written without importing json is what json reads and writes, and what it refuses, too."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.json_text import dumps, import_no_more, indented, loads
from tests.budget import runs

STATE = {"name": "vm", "runner": [None, 449139], "started": "2026-11-30T01:31:55+00:00", "vcpus": 2, "tried": True}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=9,
)
PIECES = st.sampled_from([*'{}[],:"\\ \n\t-+.0123eE', "null", "true", "NaN", '"a"', '"a": 1', "é", "\ufeff", "\0"])


def outcome(deed: Callable[[Any], Any], given: Any) -> str:
    """Its value, or what is wrong."""
    try:
        return repr(deed(given))
    except (ValueError, TypeError, RecursionError) as error:
        return f"{type(error)}: {error}"


def check(given: str | bytes) -> None:
    assert outcome(loads, given) == outcome(json.loads, given)


@pytest.mark.parametrize("value", [STATE, {}, [], [[], {}], {"a": {"b": [0, "x"]}}, None, 0, "text", [1.5, -1e300]])
@pytest.mark.parametrize("indent", [None, 1])
def test_values_are_read_and_written(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert loads(text + "\n") == loads(text.encode()) == value
    assert (dumps(value) if indent is None else indented(value)) == text


@pytest.mark.parametrize(
    "text",
    ["", "[1,]", '{"a" 1}', "{,}", "01", '"\n"', "[1 2]", "[1]]", "1-", " ", "\ufeff1", "[" * 100_000, "1" * 5000],
)
def test_what_is_wrong_is_told_as_by_json(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    "raw", [b"\xff", b"\xef\xbb\xbf[1]", "[1]".encode("utf-16"), "[1]".encode("utf-32-le"), b"1\0"]
)
def test_bytes_are_read_in_the_encodings_of_json(raw: bytes) -> None:
    check(raw)


@pytest.mark.parametrize("value", [object(), {1, 2}, {(): 1}, [b""], {1: 2, None: 3}, float("nan"), "\ud800é"])
def test_odd_values_are_written_or_refused_as_by_json(value: object) -> None:
    assert outcome(dumps, value) == outcome(json.dumps, value)


@pytest.mark.parametrize("text", ["[1, 22]", "[1, 333]", '{"a": -333}', "1.5", "[1,"])
def test_numbers_are_read_as_one_says(text: str) -> None:
    def number(digits: str) -> int:
        if len(digits) > 2:
            raise ValueError(f"{digits} is too long")
        return int(digits) + 1

    assert outcome(lambda one: loads(one, parse_int=number), text) == outcome(
        lambda one: json.loads(one, parse_int=number), text
    )


def test_a_value_that_has_itself_in_it_is_refused_as_by_json() -> None:
    value: list[Any] = []
    value.append(value)
    assert outcome(dumps, value) == outcome(json.dumps, value)


@settings(max_examples=runs(300), deadline=None)
@given(VALUES, st.sampled_from([None, 1, 3]))
def test_any_value_is_read_and_written_as_json_does(value: Any, indent: int | None) -> None:
    check(json.dumps(value, indent=indent))
    assert dumps(value) == json.dumps(value)
    assert indented(value) == json.dumps(value, indent=1)


@settings(max_examples=runs(500), deadline=None)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_pieces_are_read_as_json_does(text: str) -> None:
    check(text)
    check(text.encode())


@settings(max_examples=runs(300), deadline=None)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3), PIECES), max_size=3))
def test_any_damage_to_a_state_is_read_as_json_does(damage: list[tuple[int, int, str]]) -> None:
    text = json.dumps(STATE, indent=1)
    for start, length, piece in damage:
        text = text[:start] + piece + text[start + length :]
    check(text)


def test_neither_json_nor_what_it_imports_is_imported_while_all_goes_well() -> None:
    deed = "from launcher.json_text import *; loads(dumps({'a': [1, 1.5, 'x', None]})); loads(indented([{}]))"
    words = f"import sys; {deed}; sys.exit(not {{'json', 're', 'enum'}}.isdisjoint(sys.modules))"
    assert subprocess.run([sys.executable, "-S", "-c", words], check=False).returncode == 0


BAD = pytest.mark.parametrize("text", ["", "{", "[1 2]", '"\\x"', "1 1", "\x00", '{"a": 1', '"a'])
MODULES = ("json", "json.decoder", "json.encoder", "json.scanner")


@BAD
def test_what_is_wrong_is_told_as_by_json_which_nobody_has_imported(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = outcome(json.loads, text)
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name)
    assert outcome(loads, text) == told


@BAD
def test_who_cannot_import_json_any_more_is_told_that_it_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in MODULES:
        monkeypatch.delitem(sys.modules, name)
    import_no_more()
    with pytest.raises(ValueError, match="it is no JSON"):
        loads(text)


def test_where_only_json_reads_and_writes_it_is_imported_before_that_is_too_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Needs:
        """A scanner that asks for what none has asked for yet."""

        def __init__(self, context: object) -> None:
            context.of_another_python  # type: ignore[attr-defined] # noqa: B018

    for odd in (None, SimpleNamespace(make_scanner=Needs)):
        with monkeypatch.context() as patched:
            for name in MODULES:
                patched.delitem(sys.modules, name)
            patched.setattr("launcher.json_text._json", odd)
            import_no_more()
            assert sys.modules["json"]
            assert loads('{"a": [1]}') == {"a": [1]}
