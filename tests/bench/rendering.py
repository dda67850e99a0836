"""A row and its values -> its tables in Markdown, which are what is printed too. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator

from tests.bench.measure import Goal, Values, judge
from tests.bench.table import Figure, Row


def tables(row: Row, values: Values) -> str:
    return "\n".join([*_grid(_medians(row, values)), "", *_goals(row, values)]).rstrip() + "\n"


def rounds(values: Values) -> int:
    return max((len(one) for figures in values.values() for one in figures.values()), default=0)


def _medians(row: Row, values: Values) -> Iterator[list[str]]:
    """Contenders to the right; least and largest behind the median."""
    yield ["median (least to largest)", *values]
    for figure in row.figures:
        cells = [_spread(figure, figures.get(figure.key, [])) for figures in values.values()]
        if any(cells):
            yield [_label(figure), *cells]


def _label(figure: Figure) -> str:
    return f"{figure.label}, {figure.unit}" if figure.unit else figure.label


def _spread(figure: Figure, several: list[float]) -> str:
    if not several:
        return ""
    middle, least, most = (
        f"{one:,.{figure.digits}f}" for one in (statistics.median(several), min(several), max(several))
    )
    return middle if least == most else f"{middle} ({least} to {most})"


def _goals(row: Row, values: Values) -> list[str]:
    lines = [_goal(row, goal, values) for goal in row.goals]
    return _grid([["goal", "is (interval)", "met"], *lines]) if lines else []


def _goal(row: Row, goal: Goal, values: Values) -> list[str]:
    verdict = judge(goal, values)
    figure = next(one for one in row.figures if one.key == goal.figure)
    if verdict is None:
        return [_asks(figure, goal), "not measured", "**no**"]
    digits = 2 if goal.theirs else max(figure.digits, 1) if goal.bound < 100 else 0
    is_ = f"{verdict.middle:,.{digits}f} ({verdict.low:,.{digits}f} to {verdict.high:,.{digits}f})"
    return [_asks(figure, goal), is_, "yes" if verdict.met else "**no**"]


def _asks(figure: Figure, goal: Goal) -> str:
    sense = "at least" if goal.at_least else "at most"
    reaches = ", or the interval reaches it" if goal.reaches else ""
    amount = f"{goal.bound:g} of {goal.theirs}" if goal.theirs else f"{goal.bound:,g} {figure.unit}".rstrip()
    return f"{figure.label}: {goal.mine} {sense} {amount}{reaches}"


def _grid(rows: Iterable[list[str]]) -> list[str]:
    cells = list(rows)
    widths = [max(len(row[n]) for row in cells) for n in range(len(cells[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    return [lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]]
