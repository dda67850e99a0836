"""Every word of a runner wrong in every way, said to a real keeper on the fake kernel: the host comes back."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import NoReturn

import pytest

from launcher.executor.keeper.keeper import Keeper
from launcher.vms import words
from launcher.vms.channel import MOST, Channel
from tests.budget import LONG
from tests.mutations import damaged
from tests.unit.executor.passing import SOCKETS, guest
from tests.unit.executor.spoken import a_word_of_each_kind
from tests.unit.executor.test_killed import BEFORE, Killing, a_host, a_plan, check_that_the_host_comes_back, live, state
from tests.unit.vms.test_words import some_damage

LIVES = 1000 if LONG else 5  # of each kind


def possessed(chance: random.Random, name: str) -> type[Keeper]:
    """Its runner says a few good words, a wrong one, and then it has ended or dies."""
    good = [words.say(one) for one in a_word_of_each_kind().values() if not isinstance(one, (words.Ended, words.Bug))]
    wrong = damaged(words.say(a_word_of_each_kind()[name]), some_damage(chance))
    said = [*chance.sample(good, chance.randrange(4)), wrong, *chance.sample(good, chance.randrange(3))]
    last = chance.choice(("end", "die"))

    class Possessed(Keeper):
        def _be_runner(self, keeper: Channel) -> NoReturn:
            for message in said:
                packet = b"j" + json.dumps(message).encode()
                keeper._socket.send(packet[: MOST + chance.randrange(2)])
            if last == "end":
                keeper.send(words.say(words.Ended("power-off", "the guest powered off")))
            os._exit(7 if last == "die" else 0)

    return Possessed


@pytest.mark.parametrize("name", words.WORDS)
def test_whatever_a_runner_says_its_keeper_ends_in_order_and_the_host_comes_back(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    for n in range(LIVES):
        told = f"{name}, life {n}"
        host = a_host(tmp_path)
        status, report = live(a_plan(tmp_path, (SOCKETS,)), Killing(host=host, events=guest()), possessed(chance, name))
        assert status in (0, 11, 13, 70), told
        assert report is not None, told
        assert (report["phase"], report["left_behind"]) == ("ended", []), told
        assert status != 70 or name == "bug", told
        assert state(a_host(tmp_path)) == BEFORE, told
        check_that_the_host_comes_back(tmp_path, told)
