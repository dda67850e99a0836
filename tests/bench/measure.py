"""Contenders, run in turns -> figures of each round; a goal and figures -> paired ratio, 95 % interval."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from dataclasses import dataclass

Figures = dict[str, float]
Run = Callable[[], Figures]
Values = dict[str, dict[str, list[float]]]  # contender -> figure -> one value of each round

RESAMPLES = 5000


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


def in_turns(runs: dict[str, Run], rounds: int, warm_up: int = 1) -> Values:
    """The first round warms the caches and is dropped; every other one goes the other way round."""
    values: Values = {name: {} for name in runs}
    for turn in range(warm_up + rounds):
        for name in list(runs)[:: -1 if turn % 2 else 1]:
            figures = runs[name]()
            for key, value in figures.items() if turn >= warm_up else ():
                values[name].setdefault(key, []).append(round(value, 6))
    return values


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
