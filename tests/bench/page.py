"""docs/performance.json in; docs/performance.md and its plots out: `python -m tests.bench.page`.

`python -m tests.bench.page FILE` first takes the rows of another run, which `./dev bench --json FILE ROW...` has kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tests.bench.machine import ROOT
from tests.bench.plots import GROWTHS, growth, ratios
from tests.bench.rendering import rounds, tables
from tests.bench.results import Results, read
from tests.bench.table import NATIVE, ROWS, TABLE, Row
from tests.generate import write

RESULTS = ROOT / "docs" / "performance.json"
HEAD = """\
# Performance

vmlaunch beside what people would use instead, on the same work, in one run: contenders in turns, round by round, the
first round dropped, every other one in the opposite order. Figures are medians; a ratio is the median of the rounds'
own ratios, with its bootstrap interval: one of 95 % from six rounds on, a narrower one of fewer. A goal is met when the
median meets it, or, where it says so, when the interval reaches it.

    ./dev bench                     # all of it, and this page: half an hour
    ./dev bench start boot-1        # some rows, printed only
    ./dev bench --rounds 3          # fewer or more rounds, however long they take
    ./dev bench --json FILE whole   # then `python -m tests.bench.page FILE`: one row for this page

Each row has a time of its own, all of them half an hour: no further round begins that would not end within it, and on a
machine so slow that the fewest rounds take longer, the first of them is not dropped.

Raw values are in [performance.json](performance.json); this page and its plots are made of them by
`python -m tests.bench.page`. Rows marked *lab* ran in a lab host ([lab.md](lab.md)): there all processors are emulated,
and the guest's by an emulation of KVM, so that ratios mean more than seconds. Devices are QEMU's: a drive is as fast as
the thread that serves it.
"""


def pages(results: Results) -> dict[str, str]:
    """Path below the checkout -> what it has to contain."""
    parts = [HEAD, _machines(results), "![all goals](performance/goals.svg)\n", *_sections(results)]
    found = {"docs/performance.md": "\n".join(parts), "docs/performance/goals.svg": ratios(results)}
    return found | {f"docs/performance/{row}.svg": growth(results, row) for row in GROWTHS if row in results.rows}


def _machines(results: Results) -> str:
    lines = [f"At commit {results.commit}.", ""]
    for place, told in results.machines.items():
        lines.append(f"- {place}: " + "; ".join(f"{name} {what}" for name, what in told.items()))
    return "\n".join([*lines, ""])


def _sections(results: Results) -> Iterator[str]:
    for row in TABLE:
        if row.name not in results.rows:
            yield f"## {row.title}\n\n`{row.name}`, {_place(row)}: not in this run.\n"
            continue
        values = results.rows[row.name]
        run = f" Measured apart, at commit {results.runs[row.name]}." if row.name in results.runs else ""
        yield f"## {row.title}\n\n`{row.name}`, {_place(row)}, {rounds(values)} rounds. {row.about}{run}\n"
        yield tables(row, values)
        if row.name in GROWTHS:
            yield f"![growth](performance/{row.name}.svg)\n"
        if row.bounds:
            yield f"What bounds it: {row.bounds}\n"


def _place(row: Row) -> str:
    return row.place if row.place == NATIVE else f"*{row.place}*"


def take(results: Results, other: Results) -> None:
    """Rows of another run: of its machine is told what differs."""
    for name, values in other.rows.items():
        place = ROWS[name].place
        usual = results.machines.get(place, {}).items()
        differs = (f"{what} {told}" for what, told in other.machines[place].items() if (what, told) not in usual)
        results.rows[name], results.runs[name] = values, "; ".join((other.commit, *differs))


def main(*others: str) -> None:
    results = read(RESULTS)
    for path in others:
        take(results, read(Path(path)))
        results.write(RESULTS)
    write(pages(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
