"""Steps of the keeper that bring disks, NICs and shares who serves them: the part of changing.py that few VMs need."""

from __future__ import annotations

from collections.abc import Callable

from launcher.executor.keeper import engines, taps
from launcher.executor.keeper.undo import Undo
from launcher.kernel.api import Kernel
from launcher.plan.seed import StartSeedEngine
from launcher.plan.step import Step
from launcher.plan.virtio import ConnectEngine, MakeTap, OpenTap, StartDiskEngine, StartShareEngine, StartUserNetwork
from launcher.typed import Any


def memory_of(step: Step, kernel: Kernel) -> dict[str, Any] | None:
    """An engine is a process by then, which waits."""
    if isinstance(step, engines.STARTS):
        return engines.prepare(step, kernel)
    return taps.memory_of(step) if isinstance(step, MakeTap) else None


CHANGE: dict[type[Step], Callable[[Any, Kernel], None]] = {
    StartDiskEngine: engines.start,
    StartShareEngine: engines.start,
    StartUserNetwork: engines.start,
    StartSeedEngine: engines.start,
    MakeTap: taps.make,
    OpenTap: taps.attach,
    ConnectEngine: taps.connect,
}

UNDO: dict[str, Undo] = {
    MakeTap.op: Undo(taps.read_memory, taps.remove, taps.describe, taps.commands),
    **{kind.op: Undo(engines.read_memory, engines.end, engines.describe, engines.commands) for kind in engines.STARTS},
}

# Of what may have gone by itself: whether it has.
GONE: dict[str, Callable[[Any], bool]] = {
    MakeTap.op: taps.has_gone,
    **{kind.op: engines.has_gone for kind in engines.STARTS},
}
