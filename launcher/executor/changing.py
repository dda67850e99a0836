"""Steps of the keeper, performed and put back; the journal is between the two, so that anybody can put back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from launcher.executor import binding
from launcher.kernel.api import Kernel
from launcher.plan.steps import BindDriver, KeepState, LoadModules, Step
from launcher.vms.journal import Entry, Journal, pending

# Nothing to put back: the folder goes by itself.
OWN = (KeepState.op,)


def memory_of(step: Step) -> dict[str, Any] | None:
    """What the journal has to keep; None: the step changes nothing that goes back."""
    if isinstance(step, BindDriver):
        return binding.memory_of(step)
    return {"folder": step.folder} if isinstance(step, KeepState) else None


def check(step: Step, kernel: Kernel) -> None:
    """Before the journal has it: is the host as planned?"""
    if isinstance(step, BindDriver):
        binding.check(step, kernel.drivers)


def change(step: Step, kernel: Kernel) -> None:
    if isinstance(step, LoadModules):
        kernel.load_modules(step.modules)
    elif isinstance(step, BindDriver):
        binding.bind(step, kernel.drivers)


def put_back(
    journal: Journal, path: Path, kernel: Kernel, undone: Callable[[int], None]
) -> list[tuple[Entry, OSError]]:
    """Last deed first; what fails does not keep the rest. Answers what is left."""
    left = []
    for entry in pending(path):
        if entry.op in OWN:
            continue
        try:
            _put_back(entry, kernel)
        except OSError as error:
            left.append((entry, error))
            continue
        journal.undone(entry.n)
        undone(entry.n)
    return left


def _put_back(entry: Entry, kernel: Kernel) -> None:
    if entry.op != BindDriver.op:
        raise OSError(0, f"this version does not know how to undo {entry.op}")
    binding.put_back(entry.undo, kernel.drivers)


def commands(entry: Entry) -> str:
    return binding.commands(entry.undo) if entry.op == BindDriver.op else f"{entry.op} {entry.undo}"
