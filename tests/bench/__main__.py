"""`./dev bench [ROW...]`: vmlaunch beside QEMU on the same work, in turns; printed row by row, kept as JSON.

Rows of a lab run in a lab host, all in one boot of it, by this same command with `--built`. Without names, all rows
run, and docs/performance.json and docs/performance.md are written.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

from tests.bench import page
from tests.bench.built import Built, build
from tests.bench.lab import run_in_lab
from tests.bench.machine import commit, describe
from tests.bench.measure import Figures, Rounds, Run, in_turns
from tests.bench.rendering import tables
from tests.bench.results import Results
from tests.bench.table import NATIVE, PROCESSORS, ROWS, Row


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench", description="Rows: " + ", ".join(ROWS))
    parser.add_argument("rows", nargs="*", metavar="ROW", choices=[[], *ROWS], help="all, when none is named")
    parser.add_argument("--rounds", type=_some, help="of each row, however long they take")
    parser.add_argument("--json", type=Path, help="keep the raw values here")
    parser.add_argument("--built", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    keep = options.json or (None if options.rows else page.RESULTS)
    rows = [ROWS[name] for name in options.rows or ROWS]
    if options.built:
        measure(rows, options.rounds, Built(options.built), Results(machines={rows[0].place: describe()}), keep)
        return
    whole = _both(rows, options.rounds, keep)
    if keep == page.RESULTS and whole:
        page.main()
    sys.exit(not whole)


def _some(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{text} rounds measure nothing")
    return number


def _both(rows: list[Row], rounds: int | None, whole: Path | None) -> bool:
    """True: every row was measured. Else what was is kept beside the results of the last whole run."""
    results = Results(commit=commit(), machines={NATIVE: describe()})
    keep = whole and whole.with_name(f"{whole.name}.partial")
    native = [row for row in rows if row.place == NATIVE]
    if native:
        with tempfile.TemporaryDirectory() as folder:
            measure(native, rounds, build(Path(folder), linux=False), results, keep)
    for place in PROCESSORS:
        if inside := [row.name for row in rows if row.place == place]:
            print(f"now in a {place}", flush=True)
            results.add(run_in_lab(place, inside, rounds))
            if keep:
                results.write(keep)
    if results.rows.keys() < {row.name for row in rows}:
        return False
    if whole and keep:
        results.write(whole)
        keep.unlink(missing_ok=True)
    return True


def measure(rows: list[Row], rounds: int | None, built: Built, results: Results, keep: Path | None) -> None:
    """Kept after each row: what comes later may be lost with its machine."""
    for row in rows:
        began = time.monotonic()
        room, _, name = row.run.partition(".")
        contenders = getattr(importlib.import_module(f"tests.bench.{room}"), name)
        with tempfile.TemporaryDirectory() as folder:
            found = contenders(built, Path(folder), **row.arguments)
            runs = {name: partial(_said, name, run) for name, run in found.items()}
            left = row.rounds.seconds - (time.monotonic() - began)
            many = Rounds(rounds) if rounds and row.rounds.warm_up else replace(row.rounds, seconds=left)
            values = results.rows[row.name] = in_turns(runs, many)
        took = time.monotonic() - began
        print(f"\n{row.title} ({row.name}), {took:.0f} s\n\n{tables(row, values)}", flush=True)
        if keep:
            results.write(keep)


def _said(name: str, run: Run) -> Figures:
    """A row may take half an hour, and be lost in its last round."""
    figures = run()
    print(f"{name}: {', '.join(f'{what} {value:.4g}' for what, value in figures.items())}", file=sys.stderr, flush=True)
    return figures


if __name__ == "__main__":
    os.environ.setdefault("HOME", "/root")
    main()
