"""Text to records: what `decode` makes of what `json` reads, or Odd, whatever the text is."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from launcher import alike
from launcher.alike import Odd, read_alike
from launcher.api import hosts
from launcher.codec import decode, encode
from launcher.errors import Refused, Where
from launcher.host.facts import HostFacts
from launcher.record import field, record
from launcher.typed import Any, Literal
from launcher.values import Hex, Missing, PciAddress
from tests.budget import runs
from tests.generators.changes import recorded
from tests.generators.hosts import many_functions
from tests.mutations import DAMAGE, damaged


@record
class Part:
    kind: Literal["io", "mem"]
    start: Hex
    size: int = 0


@record
class Narrow:
    what: Literal["a"]
    n: int


@record
class Wide:
    what: str
    n: int


@record
class Thing:
    address: PciAddress
    number: int | None
    parts: tuple[Part, ...] | Missing = ()
    share: float = 0.5
    limit: Part | None = None
    either: Narrow | Wide | None = None
    pair: tuple[int, str] = (0, "")
    words: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    on: bool = False


@record
class Whole:
    name: str
    things: tuple[Thing, ...] = ()
    others: tuple[Thing, ...] | None = None


WHERE = Where("facts.json")
PART = {"kind": "io", "start": "0x10", "size": 4}
THING = {
    "address": "0000:c1:00.0", "number": 1, "parts": [PART, PART], "share": 1.5, "limit": PART,
    "either": {"what": "b", "n": 1}, "pair": [1, "x"], "words": ["a, b", "c"], "counts": {"a": 1}, "on": False,
}  # fmt: skip
CHANGES: dict[str, Any] = {
    "address": "0000:c1:00.1",
    "number": None,
    "parts": [PART, PART | {"start": "0x20"}],
    "share": 2,
    "limit": PART | {"size": 8},
    "either": {"what": "a", "n": 1},
    "pair": [2, "x"],
    "words": [],
    "counts": {"a": 1, "b": 2},
    "on": True,
}
WORDS = (
    *("-1", "1.0", "1", "true", "null", "NaN", '"0x7"', '"0000:01:00.0"', "[]", "{}", ", ", " ", "\n", '"', "\\", "{"),
    *("}", "]", ":", '"on": true, ', '"words": ["x"], ', '"a"', "\\ud800", "é", "1e400", "9" * 25),
)


def text_of(*changes: dict[str, Any], indent: int | None = None) -> str:
    return json.dumps({"name": "x", "things": [THING | one for one in changes], "others": None}, indent=indent)


def same(kind: Any, text: str) -> bool:
    """Whether it could be read, with all patterns that there can be. 1, 1.0 and true are equal to Python, not to us."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(alike, "WORTH", 0)
            found = read_alike(kind, text, int)
    except ValueError:
        return False
    assert repr(found) == repr(decode(kind, json.loads(text)))
    return True


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("name", recorded())
def test_recorded_hosts_are_read(name: str, indent: int | None) -> None:
    assert same(HostFacts, json.dumps(encode(recorded()[name]), indent=indent))


@pytest.mark.parametrize("indent", [None, 1])
def test_a_host_with_many_functions_is_read(indent: int | None) -> None:
    assert same(HostFacts, json.dumps(encode(many_functions(600)), indent=indent))


def test_what_is_alike_is_shared() -> None:
    changes = [{"number": n, "parts": [PART, PART | {"start": hex(n)}], "address": f"c1:00.{n % 8}"} for n in range(20)]
    things = read_alike(Whole, text_of(*changes), int).things
    assert [one.number for one in things] == list(range(20))
    assert all(one.limit is other.limit for one, other in pairwise(things[2:-1]))


def test_where_few_are_alike_few_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each differs from the one before in another value."""
    names, made = list(CHANGES), list[int]()
    pattern = alike._Text._pattern

    def counted(*given: Any) -> Any:
        made.append(len(made))
        return pattern(*given)

    monkeypatch.setattr(alike._Text, "_pattern", counted)
    text = text_of(*({names[n % 10]: CHANGES[names[n % 10]]} for n in range(500)))
    assert repr(read_alike(Whole, text, int)) == repr(decode(Whole, json.loads(text)))
    assert 4 < len(made) < 12


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("other", CHANGES)
def test_records_that_differ_are_read_one_by_one(name: str, other: str) -> None:
    """At the beginning, in turns and at the end."""
    change, more = {name: CHANGES[name]}, {other: CHANGES[other]}
    assert same(Whole, text_of({}, change, {}, change, change | more, {}, more, more, {}, {}, change))


@settings(max_examples=runs(500), deadline=None)
@given(
    changes=st.lists(st.lists(st.sampled_from(sorted(CHANGES)), max_size=3), min_size=1, max_size=6),
    indent=st.sampled_from((None, 1)),
    edits=st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 4), st.sampled_from(WORDS)), max_size=2),
)
@example(changes=[[], ["number"], ["number"]], indent=None, edits=[])
def test_any_text_is_read_as_json_and_decode_read_it_or_not_at_all(
    changes: list[list[str]], indent: int | None, edits: list[tuple[int, int, str]]
) -> None:
    text = text_of(*({name: CHANGES[name] for name in names} for names in changes), indent=indent)
    for place, length, word in edits:
        at = place % (len(text) + 1)
        text = text[:at] + word + text[at + length :]
    same(Whole, text)


@settings(max_examples=runs(300), deadline=None)
@given(number=st.integers(3, 6), value=st.sampled_from(WORDS), data=st.data())
def test_any_value_in_the_place_of_another_is_read_so(number: int, value: str, data: st.DataObject) -> None:
    text = text_of(*({"number": n} for n in range(number)))
    places = [found.span(1) for found in re.finditer(r'(?:: |, |\[)([0-9.]+|"[^"]*"|true|false)(?=[,\]}])', text)]
    start, end = data.draw(st.sampled_from(places))
    same(Whole, text[:start] + value + text[end:])


@pytest.mark.parametrize(
    "text",
    ["", " ", "{", "[]", "{}", "1", '{"name": "x"', '{"name": "x"} x', '{"name": "x", }', '{"name": "x", "name": "y"}',
     '{"name": "x", "things": [{}', '{"name": "x", "things": [{"', '{1: "x"}', '{"name" "x"}', '{"name": "x"]',
     '{"name": "x", "more": 1}', '{"name": "x", "things": [{"a": 1}]}', "\ufeff{}", "[" * 100_000,
     '{"name": ' + "[" * 100_000],
)  # fmt: skip
def test_what_is_odd_is_not_read(text: str) -> None:
    assert not same(Whole, text)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("first", [[], [PART], [PART, PART], [PART, PART, PART], [{"kind": "io", "start": "0x1"}] * 2])
def test_of_a_name_that_is_there_twice_json_takes_the_last(first: list[Any], indent: int | None) -> None:
    """In each record, with values that differ in the first, in the last and in both."""
    for ways in ((1, 0), (0, 1), (1, 1)):
        others = [[one | {"size": n * ways[0]} for one in first] for n in range(9)]
        lasts = [[PART, PART | {"start": hex(n * ways[1])}] for n in range(9)]
        text = text_of(*({"parts": 1, "number": n} for n in range(9)), indent=indent)
        for other, last in zip(others, lasts, strict=True):
            text = text.replace('"parts": 1', f'"parts": {json.dumps(other)}, "parts": {json.dumps(last)}', 1)
        assert not same(Whole, text)


def test_what_ends_too_early_is_odd() -> None:
    text = text_of(*({"number": n} for n in range(4)))
    assert not any(same(Whole, text[:end]) for end in range(len(text)))


def test_an_empty_list_and_blanks_are_not_odd() -> None:
    assert read_alike(Whole, ' {"name" :"x" ,"things": [ ] } \n', int) == Whole("x")
    with pytest.raises(Odd):
        read_alike(Whole, '\x0b{"name": "x"}', int)


def outcome(raw: bytes, *, whole: bool) -> Any:
    """As a large file, or as a small one."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(hosts, "LARGE", 0)
            return hosts.facts_in(raw, WHERE) if whole else hosts.decoded(hosts.read_json(raw, WHERE), WHERE)
    except Refused as refused:
        return refused.diagnostics


@settings(max_examples=runs(100), deadline=None)
@given(damage=DAMAGE, letters=st.sampled_from(("utf-8", "utf-16", "utf-8-sig", "latin-1")), cut=st.integers(-3, 3))
def test_a_facts_file_is_answered_as_without(damage: Any, letters: str, cut: int) -> None:
    """What is said of damage, and where it is."""
    plain = damaged(json.loads(json.dumps(encode(many_functions(12)))), damage)
    text = json.dumps(plain, ensure_ascii=False)
    raw = text[: cut or None].encode(letters, "replace" if letters == "latin-1" else "surrogatepass")
    assert outcome(raw, whole=True) == outcome(raw, whole=False)


@pytest.mark.parametrize("number", ["-1", "9" * 19, "9" * 22, "1" + 22 * "0", "9" * 5000, "-0", "1e3", "NaN"])
@pytest.mark.parametrize("name", ["number", "group", "vectors", "total", "size"])
def test_numbers_are_answered_as_without_wherever_they_stand(number: str, name: str) -> None:
    text = json.dumps(encode(many_functions(8)))
    for found in list(re.finditer(rf'"{name}": ([0-9]+)', text)):
        raw = (text[: found.start(1)] + number + text[found.end(1) :]).encode()
        assert outcome(raw, whole=True) == outcome(raw, whole=False)
