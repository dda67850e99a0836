"""Values to JSON and back: what comes out, and how the first field that does not fit is named."""

from __future__ import annotations

import json

import pytest

from launcher.codec import DecodeError, decode, encode
from launcher.host.facts import HostFacts, Linux
from launcher.record import field, record
from launcher.typed import Any, Literal
from launcher.values import Hex, Missing, PciAddress
from tests.generators.changes import recorded
from tests.generators.hosts import many_functions


@record
class Part:
    kind: Literal["io", "mem"]
    start: Hex
    size: int = 0


@record
class Whole:
    address: PciAddress
    parts: tuple[Part, ...] | Missing
    share: float = 0.5
    on: bool = False
    pair: tuple[int, str] = (0, "")
    limit: int | None = None
    words: dict[str, str] | Missing = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    anything: Any = None


ADDRESS = PciAddress(0, 0xC1, 0, 0)
TOO_MUCH = f"{2**72 + 1:#x}"
PART = {"kind": "io", "start": "0x10", "size": 4}


def test_what_is_written_is_read_back():
    whole = Whole(
        ADDRESS, (Part("mem", 0xFEE00000, 4096),), 1.5, True, (1, "x"), 7, {"a": "b"}, {"a": 1}, {"b": [1, None]}
    )
    plain = json.loads(json.dumps(encode(whole)))
    assert plain["parts"] == [{"kind": "mem", "start": "0xfee00000", "size": 4096}]
    assert decode(Whole, plain) == whole


def test_what_has_a_default_may_be_left_out():
    assert decode(Whole, {"address": "c1:00.0", "parts": []}) == Whole(ADDRESS, ())


def test_a_whole_number_is_a_fraction_too():
    assert decode(Whole, {"address": "c1:00.0", "parts": [], "share": 1}).share == 1


def test_of_two_types_the_one_that_fits():
    missing = {"missing": "denied", "path": "/sys/x"}
    whole = decode(Whole, {"address": "c1:00.0", "parts": missing, "words": missing})
    assert (whole.parts, whole.words) == (Missing("denied", "/sys/x"), Missing("denied", "/sys/x"))


@pytest.mark.parametrize("config", [Missing("absent", "/boot/config"), {"VFIO": "m"}, None])
def test_a_dictionary_is_only_what_nothing_else_fits(config: object):
    linux = Linux(config=config)
    assert decode(Linux, encode(linux)) == linux


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"adress": 1}, "adress: unknown field"),
        ({"address": "c1"}, "address: not a PCI address: 'c1'"),
        ({"address": 7}, "address: int where str belongs"),
        ({"parts": 1}, "parts: int where list belongs"),
        ({"parts": [PART, PART | {"start": "zz"}]}, "parts.1.start: 'zz' is not a hexadecimal address"),
        ({"parts": [PART | {"start": TOO_MUCH}]}, f"parts.0.start: '{TOO_MUCH}' is not a hexadecimal address"),
        ({"parts": [PART | {"start": 16}]}, "parts.0.start: int where str belongs"),
        ({"parts": [PART | {"kind": "x"}]}, "parts.0.kind: 'x' is not one of ('io', 'mem')"),
        ({"parts": [PART | {"size": True}]}, "parts.0.size: bool where int belongs"),
        ({"parts": [{"kind": "io"}]}, "parts.0.start: missing"),
        ({"pair": [1]}, "pair: 1 items where 2 belong"),
        ({"pair": [1, 2]}, "pair.1: int where str belongs"),
        ({"counts": {"a": "1"}}, "counts.a: str where int belongs"),
        ({"limit": "x"}, "limit: str where int belongs"),
        ({"on": 1}, "on: int where bool belongs"),
    ],
)
def test_the_first_field_that_does_not_fit_is_named(fields: dict[str, Any], said: str):
    with pytest.raises(DecodeError) as refused:
        decode(Whole, {"address": "0000:c1:00.0", "parts": []} | fields)
    assert str(refused.value) == said


def test_a_field_inside_something_larger_has_the_name_of_both():
    with pytest.raises(DecodeError) as refused:
        decode(Part, {"kind": "io", "start": 1}, "steps.3.args")
    assert refused.value.path == "steps.3.args.start"


def test_what_is_no_object_at_all_is_told_so():
    with pytest.raises(DecodeError, match="the top: list where dict belongs"):
        decode(Part, [])


@pytest.mark.parametrize("name", recorded())
def test_recorded_hosts_are_written_as_they_were_read(name: str):
    facts = recorded()[name]
    assert decode(HostFacts, json.loads(json.dumps(encode(facts)))) == facts


def test_a_host_with_many_functions_survives_the_way_to_json_and_back():
    facts = many_functions(600)
    assert sum(one.physical_function is not None for one in facts.pci) == 600
    assert len({one.address for one in facts.pci}) == len(facts.pci)
    assert decode(HostFacts, encode(facts)) == facts


@record
class Many:
    number: int
    parts: tuple[Part, ...]
    limit: Part | None = None
    words: tuple[str, ...] = ()
    on: bool = False


MANY = {"number": 1, "parts": [PART], "limit": PART, "words": ["a"], "on": False}


def test_what_is_alike_is_so_in_its_types():
    """1, 1.0 and true are equal to Python."""
    assert decode(Many, MANY | {"on": True}).on is True
    for number in (1, 1.0):
        with pytest.raises(DecodeError, match="on: "):
            decode(Many, MANY | {"on": number})


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"number": "x"}, "1.number: str where int belongs"),
        ({"parts": [PART, PART | {"start": "x"}]}, "1.parts.1.start: 'x' is not a hexadecimal address"),
        ({"limit": PART | {"size": None}}, "1.limit.size: NoneType where int belongs"),
        ({"words": ["a", 2]}, "1.words.1: int where str belongs"),
        ({"on": []}, "1.on: list where bool belongs"),
    ],
)
def test_of_many_records_the_one_with_damage_is_named(fields: dict[str, Any], said: str, turned: bool):
    """Whatever their order, and whatever was read before."""
    damaged: dict[str, Any] = MANY | fields
    both = [MANY, dict(reversed(damaged.items())) if turned else damaged]
    with pytest.raises(DecodeError) as caught:
        decode(tuple[Many, ...], both)
    assert str(caught.value) == said


def test_what_is_no_json_is_read_too():
    assert decode(Many, MANY | {"words": Words("ab")}).words == ("a", "b")


class Words(list[str]):
    pass
