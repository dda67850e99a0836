"""Commands that people wait for every day, whole, beside an interpreter that does nothing."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from tests.bench.built import Built
from tests.bench.contenders import ENVIRONMENT, VMLAUNCH
from tests.bench.machine import ROOT
from tests.bench.measure import Figures, Run
from tests.bench.table import BARE, COMPLETION, HELP, NAMES, PLAN, PS, VALIDATE

NOTHING = [sys.executable, "-c", "pass"]


def everyday(built: Built, folder: Path) -> dict[str, Run]:
    commands = {
        BARE: NOTHING,
        HELP: [*VMLAUNCH, "--help"],
        PS: [*VMLAUNCH, "ps"],
        COMPLETION: [*VMLAUNCH, "completion", "bash"],
        NAMES: [*VMLAUNCH, "ps", "-a", "--names"],
    }
    return {name: lambda command=command: {"ms": _milliseconds(command)} for name, command in commands.items()}


def answers(built: Built, folder: Path) -> dict[str, Run]:
    spec = str(ROOT / "examples" / "hello.yaml")
    commands = {PLAN: [*VMLAUNCH, "plan", spec], VALIDATE: [*VMLAUNCH, "validate", spec]}
    return {name: lambda command=command: _beyond(command) for name, command in commands.items()}


def _beyond(command: list[str]) -> Figures:
    nothing, whole = _milliseconds(NOTHING), _milliseconds(command)
    return {"ms": whole, "more": whole - nothing}


def _milliseconds(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    return (time.perf_counter() - began) * 1000
