"""Commands that people wait for every day, whole, beside an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.bench.built import Built
from tests.bench.contenders import ENVIRONMENT, VMLAUNCH
from tests.bench.measure import Run
from tests.bench.table import BARE, COMPLETION, HELP, PS


def everyday(built: Built, folder: Path) -> dict[str, Run]:
    commands = {
        BARE: [sys.executable, "-c", "pass"],
        HELP: [*VMLAUNCH, "--help"],
        PS: [*VMLAUNCH, "ps"],
        COMPLETION: [*VMLAUNCH, "completion", "bash"],
    }
    return {name: lambda command=command: {"ms": _milliseconds(command)} for name, command in commands.items()}


def _milliseconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    return (time.perf_counter() - began) * 1000
