"""vmlaunch with firmware in place of the spec's kernel: `python -m tests.by_firmware KIND up SPEC`.

The plan is the planner's, but for the step that starts the guest, and the slots of virtio functions.
"""

from __future__ import annotations

import os
import sys
from hashlib import sha256
from pathlib import Path

from launcher.plan.firmware import LoadFirmware, OpenVariables
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.plan.steps import LoadInitrd, LoadKernel, TakeMemory
from launcher.plan.virtio import AddVirtio
from launcher.record import replace
from launcher.values import GIB, PciAddress

SEABIOS = "/usr/share/seabios/bios-256k.bin"
OVMF = Path(os.environ.get("FIRMWARE", "/usr/share/OVMF/OVMF_CODE_4M.fd"))
VARIABLES = Path(os.environ.get("TEMPLATE", "/usr/share/OVMF/OVMF_VARS_4M.fd"))
KEPT = os.environ.get("KEPT_VARIABLES", "")  # a path


def with_firmware(plan: Plan, kind: str) -> Plan:
    steps = [_moved(step) for step in plan.steps if not isinstance(step, LoadInitrd)]
    at = next(n for n, step in enumerate(steps) if isinstance(step, LoadKernel))
    steps[at] = _load(kind, steps)
    if KEPT and kind == "uefi":
        steps.insert(next(n for n, step in enumerate(steps) if isinstance(step, TakeMemory)), _keep(Path(KEPT)))
    return replace(plan, steps=tuple(steps))


def _load(kind: str, steps: list[Step]) -> LoadFirmware:
    path = Path(SEABIOS) if kind == "bios" else OVMF
    code = path.read_bytes()
    variables = VARIABLES.stat().st_size if kind == "uefi" else 0
    template = str(VARIABLES) if kind == "uefi" and not KEPT else ""
    order = tuple(one.guest for step in steps if isinstance(step, AddVirtio) for one in step.functions[:1])
    digest, start = sha256(code).hexdigest(), 4 * GIB - len(code)
    return LoadFirmware(kind, str(path), digest, len(code), start, variables, template, order)  # type: ignore[arg-type]


def _keep(path: Path) -> OpenVariables:
    content = VARIABLES.read_bytes()
    there = path.stat() if path.exists() else None
    identity = f"{there.st_dev}:{there.st_ino}" if there else ""
    return OpenVariables(str(path), identity, str(VARIABLES), sha256(content).hexdigest(), len(content))


def _moved(step: Step) -> Step:
    """The chipset is in slot 1."""
    if not isinstance(step, AddVirtio):
        return step
    functions = (replace(one, guest=PciAddress(0, 0, one.guest.device + 1, 0)) for one in step.functions)
    return replace(step, functions=tuple(functions))


def main() -> int:
    from launcher.cli import command, preparing

    planner, kind = preparing.prepare, sys.argv[1]

    def prepare(options: object) -> Plan | str:
        plan = planner(options)  # type: ignore[arg-type]
        return plan if isinstance(plan, str) else with_firmware(plan, kind)

    preparing.prepare = prepare
    sys.argv[1:2] = []
    return command()


if __name__ == "__main__":
    sys.exit(main())
