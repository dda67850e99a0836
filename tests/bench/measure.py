"""Contenders, run in turns -> figures of each round; a goal and figures -> paired ratio, 95 % interval."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

Figures = dict[str, float]
Run = Callable[[], Figures]
Values = dict[str, dict[str, list[float]]]  # contender -> figure -> one value of each round

RESAMPLES = 5000


@dataclass(frozen=True, slots=True)
class Rounds:
    """After the fewest none begins that would not end within `seconds`; where these take longer with the one that warms
    up, there is none such.
    """

    most: int
    seconds: float = float("inf")
    least: int = 3
    warm_up: int = 1

    @property
    def fewest(self) -> int:
        return min(self.most, self.least)


@dataclass(frozen=True, slots=True)
class Goal:
    """`mine` against `theirs`, round by round, in one figure; without `theirs`, the figure itself.

    `reaches`: it is enough that the interval reaches the bound.
    """

    figure: str
    mine: str
    bound: float
    theirs: str = ""
    at_least: bool = False
    reaches: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    middle: float
    low: float
    high: float
    met: bool


def in_turns(runs: dict[str, Run], rounds: Rounds, clock: Callable[[], float] = time.monotonic) -> Values:
    """The first round warms the caches and is dropped; every other one goes the other way round."""
    measured: dict[str, list[Figures]] = {name: [] for name in runs}
    began = clock()
    for turn in count(1):
        for name in list(runs)[:: 1 if turn % 2 else -1]:
            measured[name].append(runs[name]())
        each = (clock() - began) / turn
        dropped = rounds.warm_up if each * (rounds.warm_up + rounds.fewest) <= rounds.seconds else 0
        if turn >= dropped + (rounds.fewest if each * (turn + 1) > rounds.seconds else rounds.most):
            break
    return in_pairs({name: several[dropped:] for name, several in measured.items()})


def in_pairs(measured: dict[str, list[Figures]]) -> Values:
    """Of a figure only those rounds in which all have it who ever have it."""
    having = {name: dict.fromkeys(key for one in several for key in one) for name, several in measured.items()}
    return {
        name: {key: [round(one[key], 6) for n, one in enumerate(several) if _all_have(key, n, measured, having)]
               for key in having[name]}
        for name, several in measured.items()
    }  # fmt: skip


def _all_have(key: str, n: int, measured: dict[str, list[Figures]], having: dict[str, dict[str, None]]) -> bool:
    return all(key in several[n] for name, several in measured.items() if key in having[name])


def judge(goal: Goal, values: Values) -> Verdict | None:
    """None: not measured."""
    mine = values.get(goal.mine, {}).get(goal.figure)
    theirs = values.get(goal.theirs, {}).get(goal.figure) if goal.theirs else [1.0] * len(mine or ())
    if not mine or not theirs or not all(theirs):
        return None
    middle, low, high = interval([one / other for one, other in zip(mine, theirs, strict=True)])
    if goal.at_least:
        return Verdict(middle, low, high, (high if goal.reaches else middle) >= goal.bound)
    return Verdict(middle, low, high, (low if goal.reaches else middle) <= goal.bound)


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Median and its bootstrap 95 % interval; the same for the same ratios."""
    dice = random.Random(0)
    medians = sorted(statistics.median(dice.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return statistics.median(ratios), medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES)]
