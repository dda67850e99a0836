"""Names of rows in -> their results, from one boot of a lab host; each row as soon as it is there."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tests.bench import firmware
from tests.bench.built import build
from tests.bench.machine import ROOT
from tests.bench.results import Results, read
from tests.bench.table import PROCESSORS
from tests.lab.boot import INSIDE, Job, run
from tests.lab.hosts import HOSTS
from tests.lab.pieces import OWN
from tests.lab.session import FLAWS

HOST = "zoo"
RESULTS, BUILT = "results.json", "built"  # in the folder of results
SECONDS = 3600
TRIES = 2


def run_in_lab(place: str, names: list[str], rounds: int | None) -> Results:
    """Rows of one place. A machine that is lost to a known flaw of the emulation is started once more, for the rows
    that are not there.
    """
    results = Results()
    for _ in range(TRIES):
        left = [name for name in names if name not in results.rows]
        with tempfile.TemporaryDirectory(prefix="vmlaunch-bench-") as work:
            lost = _boot(PROCESSORS[place], left, rounds, Path(work), results)
        if not any(flaw in lost for flaw in FLAWS) or results.rows.keys() >= set(names):
            break
    return results


@contextmanager
def _on_as_many(processors: int) -> Iterator[None]:
    """With one, the machine takes turns with its devices. Beside each other, its drive sleeps now and then on commands
    that it never looked at: it says up to where it knows of them, and looks once more, with nothing that keeps that
    order.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[-processors:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _boot(processors: int, names: list[str], rounds: int | None, work: Path, results: Results) -> str:
    """What the machine was lost to, or nothing."""
    shared = work / "lab"
    build(shared / BUILT, linux=True)
    if "firmware" in names:
        firmware.ready()
    words = [
        sys.executable,
        "-m",
        "tests.bench",
        "--built",
        f"{INSIDE}/{BUILT}",
        "--json",
        f"{INSIDE}/{RESULTS}",
        *names,
    ]
    words += ["--rounds", str(rounds)] if rounds else []
    environment = {name: os.environ[name] for name in (OWN.variable, "XDG_CACHE_HOME") if name in os.environ}
    job = Job(tuple(words), ROOT, SECONDS, environment)
    with _on_as_many(processors):
        ended = run(replace(HOSTS[HOST], cpus=processors), job, work, sys.stdout.buffer, sys.stderr.buffer)
    if (shared / RESULTS).exists():
        results.add(read(shared / RESULTS))
    if ended.lost or ended.status:
        print(ended.lost or f"the bench inside ended with status {ended.status}", file=sys.stderr)
    return ended.lost
