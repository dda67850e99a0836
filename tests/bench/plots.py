"""Results in, SVG out, written by hand so that the same results give the same bytes. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from tests.bench.measure import Goal, judge
from tests.bench.results import Results
from tests.bench.table import TABLE, Row

LEFT, RIGHT, LINE, TOP, WIDTH = 470, 30, 20, 40, 900
GOOD, BAD, QUIET, INK = "#1a7f4b", "#c0392b", "#bbbbbb", "#333333"


@dataclass(frozen=True, slots=True)
class Scale:
    """Logarithmic: values from `low` to `high` at places from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return round(self.start + min(share, 1.0) * (self.end - self.start), 1)


def ratios(results: Results) -> str:
    """Each goal as a line: its interval as a share of the goal, met left of 1. An `at least` is turned over."""
    goals = [(row, goal) for row in TABLE for goal in row.goals if judge(goal, results.rows.get(row.name, {}))]
    across = Scale(0.01, 100, LEFT, WIDTH - RIGHT)
    body = [*_grid(across, len(goals))]
    for number, (row, goal) in enumerate(goals):
        body += _interval(row, goal, results, across, TOP + LINE * (number + 0.5))
    return _svg(WIDTH, TOP + LINE * len(goals) + 20, [_text(LEFT, 20, "share of the goal; left of 1 it is met"), *body])


def _grid(across: Scale, count: int) -> Iterator[str]:
    for value in (0.01, 0.1, 1.0, 10.0, 100.0):
        yield _line(across(value), TOP, across(value), TOP + LINE * count, INK if value == 1 else QUIET)
        yield _text(across(value), TOP + LINE * count + 14, f"{value:g}", "middle")


def _interval(row: Row, goal: Goal, results: Results, across: Scale, y: float) -> Iterator[str]:
    verdict = judge(goal, results.rows[row.name])
    assert verdict is not None
    several = (verdict.low, verdict.middle, verdict.high)
    shares = [goal.bound / one if goal.at_least and one else one / goal.bound for one in several]
    places, colour = [across(share) for share in shares], GOOD if verdict.met else BAD
    yield _text(LEFT - 10, y + 4, f"{row.name}: {goal.mine}, {goal.figure}", "end")
    yield _line(places[0], y, places[2], y, colour, 2)
    yield f'<circle cx="{places[1]}" cy="{y}" r="4" fill="{colour}"/>'


@dataclass(frozen=True, slots=True)
class Growth:
    """What grows along the bottom, and what with it; both axes are logarithmic: linear growth is a straight line."""

    title: str
    low: int
    high: int
    least: float
    most: float
    lines: tuple[tuple[str, str, str], ...]  # colour, figure, label


# The rows that have a plot of their own.
GROWTHS = {
    "planner": Growth("milliseconds, by functions of the host", 1_000, 100_000, 1, 100_000,
                      ((GOOD, "plan", "plan"), (INK, "read", "facts read"))),
    "place": Growth("seconds, and MiB, by hosts", 1_000, 10_000, 0.1, 1_000,
                    ((GOOD, "seconds", "seconds"), (INK, "memory", "MiB"))),
}  # fmt: skip


def growth(results: Results, row: str) -> str:
    values, plot = results.rows[row], GROWTHS[row]
    sizes = {name: int(name.split()[0].replace(",", "")) for name in values}
    across, up = Scale(plot.low, plot.high, 80, 560), Scale(plot.least, plot.most, 340, 40)
    body = [_text(80, 20, plot.title)]
    for power in range(round(math.log10(plot.least)), round(math.log10(plot.most)) + 1):
        value = 10**power
        body += [_line(80, up(value), 560, up(value), QUIET), _text(70, up(value) + 4, f"{value:,}", "end")]
    for size in sizes.values():
        body += [_line(across(size), 40, across(size), 340, QUIET), _text(across(size), 358, f"{size:,}", "middle")]
    for colour, key, label in plot.lines:
        points = [(across(size), up(statistics.median(values[name][key]))) for name, size in sizes.items()]
        path = " ".join(f"{x},{y}" for x, y in points)
        body.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points]
        body.append(_text(points[-1][0] + 8, points[-1][1] + 4, label))
    return _svg(660, 380, body)


def _svg(width: int, height: float, body: list[str]) -> str:
    size = f'width="{width}" height="{height:g}" viewBox="0 0 {width} {height:g}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12" fill="{INK}">'
    return "\n".join([head, '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>", ""])


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    return f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="{width}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{text}</text>'
