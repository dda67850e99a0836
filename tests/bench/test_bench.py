"""The bench without its measurements: what is kept gives the page, a goal is judged by pairs, rows fit together."""

from __future__ import annotations

import importlib
import os
import sys
import time

import pytest

from tests.bench import access, page, passed, results
from tests.bench.machine import ROOT
from tests.bench.measure import Goal, Rounds, in_turns, judge
from tests.bench.table import TABLE, Row


def test_the_page_in_the_tree_is_what_the_kept_results_give() -> None:
    made = page.pages(results.read(page.RESULTS))
    kept = {path: (ROOT / path).read_text(encoding="utf-8") for path in made}
    assert kept == made, "run `python -m tests.bench.page`"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_a_row_has_a_room_that_runs_it_and_goals_for_its_figures(row: Row) -> None:
    room, _, name = row.run.partition(".")
    assert callable(getattr(importlib.import_module(f"tests.bench.{room}"), name))
    assert {goal.figure for goal in row.goals} <= {figure.key for figure in row.figures}


def test_a_row_of_another_run_says_so_and_what_differs_there() -> None:
    kept = results.Results("one", {"lab": {"kernel": "6.1", "memory": "3 GiB"}}, {"dma": {"vmlaunch": {"ms": [1.0]}}})
    other = results.Results(
        "two", {"lab": {"kernel": "6.12", "memory": "3 GiB"}}, {"whole": {"vmlaunch": {"pss": [2.0]}}}
    )
    page.take(kept, other)
    told = page.pages(kept)["docs/performance.md"]
    assert told.count("Measured apart") == told.count("Measured apart, at commit two; kernel 6.12.\n") == 1
    assert "At commit one." in told


def test_contenders_take_turns_and_the_first_round_is_dropped() -> None:
    order: list[str] = []

    def run(name: str) -> dict[str, float]:
        order.append(name)
        return {"ms": len(order)}

    values = in_turns({name: lambda name=name: run(name) for name in "ab"}, Rounds(2))
    assert "".join(order) == "abbaab"
    assert values == {"a": {"ms": [4, 5]}, "b": {"ms": [3, 6]}}


@pytest.mark.parametrize(
    ("each", "measured"),
    [
        (1, [2, 3, 4, 5, 6]),
        (12, [2, 3, 4]),  # a fifth would end too late
        (15, [2, 3]),
        (20, [1, 2]),  # nothing is dropped
        (900, [1, 2]),
    ],
)
def test_rounds_end_with_the_time_of_their_row_but_the_fewest_are_run(each: int, measured: list[int]) -> None:
    turns: list[int] = []

    def run() -> dict[str, float]:
        turns.append(len(turns) + 1)
        return {"turn": turns[-1]}

    values = in_turns({"a": run}, Rounds(5, 50, 2), lambda: each * len(turns))
    assert values["a"]["turn"] == measured


def test_all_rows_together_have_half_an_hour_less_what_builds_and_boots_take() -> None:
    assert sum(row.rounds.seconds for row in TABLE) <= 29 * 60


def test_a_goal_is_judged_by_the_ratios_of_its_rounds() -> None:
    values = {"mine": {"ms": [1.0, 4.0, 3.0]}, "theirs": {"ms": [2.0, 4.0, 4.0]}}
    verdict = judge(Goal("ms", "mine", 0.7, "theirs"), values)
    assert verdict is not None
    assert (verdict.middle, verdict.low, verdict.high, verdict.met) == (0.75, 0.5, 1.0, False)
    reached = judge(Goal("ms", "mine", 0.7, "theirs", reaches=True), values)
    assert reached is not None
    assert reached.met


def test_what_was_not_measured_is_not_judged() -> None:
    assert judge(Goal("ms", "mine", 1), {}) is None


def test_somebody_asks_again_and_again_and_only_answers_count() -> None:
    with access._asking([sys.executable, "-c", "print('running')"]) as answers:
        while len(answers) < 2:
            time.sleep(0.01)
    assert set(answers) == {b"running\n"}
    with access._asking(["false"]) as answers:
        pass
    assert answers == []


def test_memory_is_that_of_all_processes_without_what_is_as_large_as_the_guest() -> None:
    one = passed.memory_of([os.getpid()])
    assert 0 < one["pss"] <= one["rss"]
    assert passed.memory_of([os.getpid()] * 2)["rss"] > one["rss"]
    assert passed.memory_of([os.getpid()], 0) == {"rss": 0, "pss": 0}
