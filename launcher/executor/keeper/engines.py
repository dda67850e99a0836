"""A step that starts an engine in; a process that serves disks, a share or a network, and the runner's end of it, out.

An engine is in the journal before it runs a line of its program. The keeper ends it when the runner has gone.
"""

from __future__ import annotations

import _socket as socket
import errno
import os
from contextlib import ExitStack, closing

from launcher.codec import DecodeError, decode, written
from launcher.errors import Diagnostic, StepFailed
from launcher.executor.keeper import engine_sockets
from launcher.executor.keeper.engine_orders import order_of
from launcher.executor.keeper.last_words import ended_so, said_by
from launcher.kernel.api import Engine, Kernel
from launcher.kernel.engine import end_another
from launcher.plan.seed import StartSeedEngine
from launcher.plan.step import Step
from launcher.plan.virtio import StartDiskEngine, StartShareEngine, StartUserNetwork
from launcher.record import record
from launcher.refusals import cause, way_out
from launcher.typed import Any
from launcher.vms.holders import began, is_dead

STARTS = (StartDiskEngine, StartShareEngine, StartUserNetwork, StartSeedEngine)

NO_NAME_SPACES = (
    "an engine lives in a user name space: `sysctl user.max_user_namespaces` is to be above 0",
    "a container may need the right to make them; Ubuntu has kernel.apparmor_restrict_unprivileged_userns",
    "below chroot(2) the kernel makes none",
)


@record
class Started:
    """What the journal keeps of an engine: which process it is."""

    program: str
    pid: int
    began: int


def prepare(step: Step, kernel: Kernel) -> dict[str, Any]:
    """A process for the step, which does nothing yet, and what the journal has to keep of it. StepFailed."""
    try:
        with ExitStack() as stack:
            engine = kernel.prepare_engine(order_of(step, kernel, stack))
    except OSError as error:
        raise _not_started(step, error) from None
    return written(Started(engine.order.program, engine.pid, began(engine.pid) or 0))


def start(step: Step, kernel: Kernel) -> None:
    """The process that was prepared last becomes the engine, and each of its sockets has answered. StepFailed."""
    engine = kernel.engines[-1]
    try:
        engine.begin(kernel.waits)
    except OSError as error:
        raise _not_started(step, error) from None
    for alias in engine.order.aliases:
        _check_answer(alias, engine, kernel)


def _check_answer(alias: str, engine: Engine, kernel: Kernel) -> None:
    with closing(socket.socket(fileno=os.dup(kernel.ends[alias]))) as end:
        try:
            engine_sockets.await_answer(end, kernel.waits, engine.name)
        except ConnectionError as error:
            if kernel.waits(engine.pidfd, engine_sockets.LONGEST, f"{engine.name} to end"):
                raise _ended(engine) from None
            raise _mute(alias, engine, error) from None
        except OSError as error:
            raise _mute(alias, engine, error) from None


def _not_started(step: Step, error: OSError) -> StepFailed:
    help_ = NO_NAME_SPACES if error.filename == "unshare" else way_out(error)
    return StepFailed(Diagnostic("E561", f"failed to {step.describe()}: {cause(error)}", help=help_))


def _ended(engine: Engine) -> StepFailed:
    engine.reap()
    fact = f"{engine.name} for {', '.join(engine.order.aliases)} {ended_so(engine)} before it served anything"
    return StepFailed(Diagnostic("E561", fact, evidence=said_by(engine)))


def _mute(alias: str, engine: Engine, error: OSError) -> StepFailed:
    return StepFailed(
        Diagnostic("E562", f"{engine.name} does not serve {alias}: {cause(error)}", evidence=said_by(engine))
    )


def read_memory(memory: dict[str, Any]) -> Started:
    """What the journal kept. OSError when no keeper of ours would write it there."""
    try:
        started = decode(Started, memory)
    except DecodeError as error:
        raise OSError(errno.EINVAL, f"the journal's entry is not one of ours: {error}") from None
    if started.pid <= 1 or started.began <= 0:
        raise OSError(errno.EINVAL, "the journal's entry is not one of ours: it names an odd process")
    return started


def end(started: Started, kernel: Kernel) -> str:
    """By its keeper, or by whoever has the journal of one that died. OSError EBUSY: it does not end."""
    own = next((one for one in kernel.engines if one.pid == started.pid), None)
    if own is None:
        name = os.path.basename(started.program)
        end_another(started.pid, lambda: not has_gone(started), name, kernel.waits)
        return ""
    for alias in own.order.aliases:
        close_end(alias, kernel)
    own.end(kernel.waits)
    return ""


def has_gone(started: Started) -> bool:
    """Or waits for a parent that does not ask: it has nothing open any more."""
    return began(started.pid) != started.began or is_dead(started.pid)


def close_end(alias: str, kernel: Kernel) -> None:
    if (descriptor := kernel.ends.pop(alias, None)) is not None:
        os.close(descriptor)


def describe(started: Started) -> str:
    return f"end {os.path.basename(started.program)}, process {started.pid}"


def commands(started: Started) -> str:
    return f"kill {started.pid}"
