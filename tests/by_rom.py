"""vmlaunch with a ROM of the tests' in place of the spec's kernel: `python -m tests.by_rom up SPEC`.

The plan is the planner's but for that step. ROM is its path, TEMPLATE that of its variables, KEPT_VARIABLES where they
are kept.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

from launcher.plan.firmware import LoadFirmware, OpenVariables
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.plan.steps import LoadKernel, TakeMemory
from launcher.record import replace
from launcher.values import GIB

ROM, TEMPLATE, KEPT = (Path(os.environ.get(name, "")) for name in ("ROM", "TEMPLATE", "KEPT_VARIABLES"))


def with_rom(plan: Plan) -> Plan:
    steps: list[Step] = []
    for step in plan.steps:
        if isinstance(step, TakeMemory) and step.bank == 0:
            steps.append(_keep())
        steps.append(_load() if isinstance(step, LoadKernel) else step)
    return replace(plan, steps=tuple(steps))


def _load() -> LoadFirmware:
    code, variables = ROM.read_bytes(), TEMPLATE.stat().st_size
    digest, start = sha256(code).hexdigest(), 4 * GIB - len(code)
    return LoadFirmware("uefi", str(ROM), digest, len(code), start, variables, "", ())


def _keep() -> OpenVariables:
    content, there = TEMPLATE.read_bytes(), KEPT.stat() if KEPT.exists() else None
    identity = f"{there.st_dev}:{there.st_ino}" if there else ""
    return OpenVariables(str(KEPT), identity, str(TEMPLATE), sha256(content).hexdigest(), len(content))


def main() -> int:
    from launcher.cli import command, preparing

    planner = preparing.prepare

    def prepare(options: Any) -> Plan | str:
        plan = planner(options)
        return plan if isinstance(plan, str) else with_rom(plan)

    preparing.prepare = prepare
    return command()


if __name__ == "__main__":
    sys.exit(main())
