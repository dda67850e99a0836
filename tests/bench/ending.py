"""A guest that powers itself off -> milliseconds from its last exit to the end of the command: to the prompt."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

from tests.bench import contenders
from tests.bench.built import Built
from tests.bench.contenders import DEADLINE, OURS, Q35
from tests.bench.measure import Figures, Run
from tests.bench.stamps import StampFile, now
from tests.bench.start import MEBIBYTES


def power_off(built: Built, folder: Path) -> dict[str, Run]:
    boot = {"kernel": str(built.lasting)}
    ours = contenders.up(folder, boot, 1, MEBIBYTES)
    theirs = contenders.qemu_command("q35", boot, 1, MEBIBYTES)
    file = StampFile(folder / "stamps", built.stamps)
    return {OURS: partial(_until_prompt, ours, file), Q35: partial(_until_prompt, theirs, file)}


def _until_prompt(command: list[str], file: StampFile) -> Figures:
    environment = file.environment() | {"RETURNS": "noted"}
    subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=DEADLINE
    )
    ended = now()
    if command[0] == sys.executable:
        contenders.down()
    return {"ms": (ended - file.read().last_return) * 1000}
