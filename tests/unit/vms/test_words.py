"""What a runner says is heard within its limits, and nothing else of it; what is too long is made to fit before."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from launcher.errors import Diagnostic
from launcher.plan.outcome import ContainerReport, Counts, DeviceReport, StepOutcome
from launcher.plan.steps import OpenDevices
from launcher.record import replace
from launcher.vms import words
from tests.mutations import ODD, damaged
from tests.unit.executor.passing import SOCKETS, passing_plan
from tests.unit.executor.spoken import a_word_of_each_kind

WRONG = 1000  # of each kind
NOBODY = {"value": 10**4000, "depth": [[[[[[[[[[]]]]]]]]]]}


@pytest.fixture
def hearing(tmp_path: Path) -> words.Hearing:
    return words.Hearing(passing_plan(tmp_path, served=(SOCKETS,)))


@pytest.mark.parametrize("name", words.WORDS)
def test_each_word_is_heard_as_it_was_said(hearing: words.Hearing, name: str) -> None:
    word = a_word_of_each_kind()[name]
    assert hearing.read(json.loads(json.dumps(words.say(word)))) == word


@pytest.mark.parametrize("name", words.WORDS)
def test_a_word_that_is_wrong_is_unfit_or_within_its_limits(tmp_path: Path, name: str) -> None:
    """Nothing else comes of it, whatever is wrong."""
    chance, plan = random.Random(name), passing_plan(tmp_path, served=(SOCKETS,))
    whole, unfit = words.say(a_word_of_each_kind()[name]), 0
    for _ in range(WRONG):
        wrong = damaged(whole, some_damage(chance))
        try:
            words.Hearing(plan).read(wrong)
        except words.Unfit:
            unfit += 1
    assert unfit > WRONG / 10


def some_damage(chance: random.Random) -> list[tuple[int, str, Any, int]]:
    ways = ("replace", "replace", "move", "delete", "double")
    odd = (*ODD, *NOBODY.values(), "x" * 5000, "\ud800", ["x"] * 5000, {str(n): n for n in range(200)})
    return [
        (chance.randrange(1 << 20), chance.choice(ways), chance.choice(odd), chance.randrange(1 << 20))
        for _ in range(chance.randint(1, 3))
    ]


@pytest.mark.parametrize(
    "message",
    [
        None, {}, [], 7, {"running": {}, "end": {}}, {"outcome": None}, {"dance": {}}, {7: 7},
        {"outcome": {"n": 1, "state": "done"}},  # the keeper's own step
        {"outcome": {"n": 10**9, "state": "done"}},
        {"outcome": {"n": 2, "state": "done", "note": "x" * 1025}},
        {"outcome": {"n": 2, "state": "done", "seconds": float("nan")}},
        {"outcome": {"n": 2, "state": "done", "seconds": -1}},
        {"outcome": {"n": 2, "state": "progress", "done": 1 << 64}},
        {"counts": {"counts": {}, "exits": [1, 2]}},  # of two vCPUs
        {"counts": {"counts": {"trapped": 10**4000}, "exits": [1]}},
        {"end": {"how": "stopped", "detail": ""}}, {"end": 5},
        {"end": {"how": "crash", "detail": "", "registers": {"a b": "0x1"}}},
        {"end": {"how": "power-off", "detail": "", "exit_code": 3}},
        {"failed": {"diagnostics": []}}, {"failed": []},
        {"alarm": {"alias": "nobody's", "kind": "request"}},
        {"confined": {"measures": {"seccomp": 5}}}, {"confined": {"measures": {"\x1b[2J": "on"}}},
        {"bug": "x" * (1 << 15)}, {"bug": 5}, {"bug": "\ud800"},
    ],
)  # fmt: skip
def test_what_no_runner_of_the_plan_says_is_unfit(hearing: words.Hearing, message: object) -> None:
    with pytest.raises(words.Unfit):
        hearing.read(message)


def test_a_device_is_one_of_the_plans_at_its_address(hearing: words.Hearing) -> None:
    plain = words.say(a_word_of_each_kind()["device"])
    hearing.read(plain)
    for key, value in (("alias", "other"), ("host", "0000:09:00.0"), ("group", 77), ("guest", "00:1f.0")):
        with pytest.raises(words.Unfit):
            hearing.read({"device": plain["device"] | {key: value}})


@pytest.mark.parametrize("name", ["outcome", "running", "end", "failed", "confined"])
def test_what_is_said_once_is_unfit_when_it_is_said_again(hearing: words.Hearing, name: str) -> None:
    plain = words.say(a_word_of_each_kind()[name])
    hearing.read(plain)
    with pytest.raises(words.Unfit):
        hearing.read(plain)


def test_a_text_that_is_too_long_loses_its_end_before_it_is_sent(hearing: words.Hearing) -> None:
    said = words.say(StepOutcome(2, "not-undone", note="n" * 5000))
    assert len(said["outcome"]["note"]) == words.MOST_NOTE
    hearing.read(said)
    hearing.read(words.say(words.Failed((Diagnostic("E501", "m" * 50_000),))))
    hearing.read(words.say(words.Bug("\u20ac" * 50_000)))
    assert hearing.read(words.say(words.Bug("x" * 50_000 + "the end"))).bug.endswith("the end")  # type: ignore[union-attr]


def test_a_path_that_is_no_text_is_told_and_does_not_look_like_a_runner_that_was_taken_over(
    hearing: words.Hearing,
) -> None:
    said = words.say(words.Failed((Diagnostic("E501", "failed to load /srv/\udce9t\udce9/vmlinux"),)))
    word = hearing.read(json.loads(json.dumps(said)))
    assert isinstance(word, words.Failed)
    hearing.read(json.loads(json.dumps(words.say(words.Bug("in /srv/\udce9t\udce9")))))
    assert word.diagnostics[0].message == "failed to load /srv/\\udce9t\\udce9/vmlinux"


@pytest.mark.parametrize("bars", [65, 3000])
def test_lists_have_limits(hearing: words.Hearing, bars: int) -> None:
    plain = words.say(a_word_of_each_kind()["device"])
    plain["device"]["bars"] *= bars
    with pytest.raises(words.Unfit):
        hearing.read(plain)
    with pytest.raises(words.Unfit):
        hearing.read({"end": {"how": "crash", "detail": "", "registers": {"rip": "0x" + "f" * 17}}})


def test_numbers_of_every_vcpu_or_of_none_are_heard(hearing: words.Hearing) -> None:
    for exits in ((), (5,)):
        hearing.read(words.say(words.Counted(Counts(), exits)))
    hearing.read(words.say(words.Containers((ContainerReport((1,), 1, 1, 0),))))


def test_a_device_and_its_companion_are_heard_though_they_share_an_alias(tmp_path: Path) -> None:
    plan = passing_plan(tmp_path, served=(SOCKETS,))
    steps = (
        replace(one, devices=tuple(replace(each, alias="both") for each in one.devices))
        if isinstance(one, OpenDevices) else one
        for one in plan.steps
    )  # fmt: skip
    hearing = words.Hearing(replace(plan, steps=tuple(steps)))
    for host, group, guest in (("0000:01:00.0", 1, "00:03.0"), ("0000:02:00.0", 2, "00:04.0")):
        word = DeviceReport("both", host, group, guest, "", 0, (), "works")
        assert hearing.read(words.say(word)) == word
    with pytest.raises(words.Unfit):
        hearing.read(words.say(DeviceReport("both", "0000:01:00.0", 1, "00:04.0", "", 0, (), "works")))
