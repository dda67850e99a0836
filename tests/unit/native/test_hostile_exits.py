"""The C floor under random exits and a hostile runner, with the sanitizers for addresses and undefined behaviour."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import PATIENCE
from tests.native.build import hostile_program, hostile_runner

LONG = bool(os.environ.get("VMLAUNCH_LONG"))
EXITS, SEED = (2_000_000, 2) if LONG else (100_000, 1)
TIMES = 10_000_000 if LONG else 500_000  # reads and writes of the rings


def play(program: Path, count: int, seed: int) -> str:
    """What it printed. The count and the seed make the same exits again."""
    command = [program, str(count), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"{program.name} {count} {seed}:\n{done.stderr}"
    return done.stdout


def test_no_exit_and_no_change_of_tables_reads_or_writes_what_is_not_ours(tmp_path: Path) -> None:
    assert play(hostile_program(tmp_path), EXITS, SEED) == f"hostile: {EXITS} exits, seed {SEED}\n"


def test_nothing_that_a_runner_writes_over_a_ring_leads_its_keeper_out_of_it(tmp_path: Path) -> None:
    said = play(hostile_runner(tmp_path), TIMES, SEED)
    assert said == f"hostile runner: {TIMES} reads and writes, seed {SEED}\n"
