"""The C floor under random exits, built with the sanitizers for addresses and undefined behaviour."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.conftest import PATIENCE
from tests.native.build import hostile_program

EXITS, SEED = (2_000_000, 2) if os.environ.get("VMLAUNCH_LONG") else (100_000, 1)


def test_no_exit_and_no_change_of_tables_reads_or_writes_what_is_not_ours(tmp_path: Path) -> None:
    """The count and the seed that it printed make the same exits again."""
    command = [hostile_program(tmp_path), str(EXITS), str(SEED)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, ""), f"hostile {EXITS} {SEED}:\n{done.stderr}"
    assert done.stdout == f"hostile: {EXITS} exits, seed {SEED}\n"
