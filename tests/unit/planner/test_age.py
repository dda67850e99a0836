"""How old facts are: a fact, and said where somebody asks now."""

from __future__ import annotations

import json

import pytest

from launcher.api.hosts import recorded_host, this_host
from launcher.api.plans import load, make_plan
from launcher.codec import DecodeError, decode, encode
from launcher.errors import Refused
from launcher.record import replace
from launcher.values import Moment
from tests.planning import HOSTS, SMALL, codes, host, plan


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("1970-01-01T00:00:00Z", 0), ("2026-11-29T21:24:07+01:00", 1795983847), ("2026-11-29T20:24:07+00:00", 1795983847)],
)
def test_a_moment_is_read_in_any_zone(text, seconds) -> None:
    assert Moment.parse(text).seconds == seconds
    assert Moment.parse(str(Moment.parse(text))) == Moment.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-11-29",
        "2026-11-29T20:24:07",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:00:00-02:00",
        "9e999",
    ],
)
def test_a_time_without_zone_and_what_is_none_is_damage(text) -> None:
    with pytest.raises(DecodeError, match="recorded_at: not a time with its zone"):
        decode(type(host("gpu07")), encode(host("gpu07")) | {"recorded_at": text})


def test_this_host_is_recorded_now_and_in_this_life(tmp_path) -> None:
    here, loaded = this_host(devices=False), load(SMALL.encode(), "vm.yaml")
    path = tmp_path / "here.json"
    path.write_text(json.dumps(encode(here)))
    assert here.recorded_at
    assert here.boot_id
    assert not {"W267", "W268"} & set(codes(make_plan(loaded, recorded_host(str(path)))))
    before = replace(here, boot_id="of another life", recorded_at=Moment(here.recorded_at.seconds - 4000))
    assert {"W267", "W268"} <= set(codes(make_plan(loaded, before)))
    elsewhere = replace(before, name=f"not-{here.name}")
    assert "W268" not in codes(make_plan(loaded, elsewhere))  # nobody here can know


def test_a_plan_for_which_nobody_asks_now_does_not_depend_on_time() -> None:
    old = replace(host("gpu07"), recorded_at=Moment(0), boot_id="1")
    assert plan(SMALL, old) == plan(SMALL, host("gpu07"))


def test_negative_time_is_damage_as_any_negative_number(tmp_path) -> None:
    path = tmp_path / "host.json"
    path.write_text(json.dumps(encode(host("gpu07")) | {"recorded_at": -1}))
    with pytest.raises(Refused, match="E292"):
        recorded_host(str(path))


def test_a_recorded_host_that_comes_along_is_of_no_moment() -> None:
    """Whoever plans for one asks what such a host could do, and is not to record it again."""
    recorded = {path.stem: json.loads(path.read_text()) for path in HOSTS.glob("*.json")}
    assert [name for name, one in recorded.items() if one.get("recorded_at") or one.get("boot_id")] == []
