"""Steps of the keeper in, performed; entries of a journal in, undone. Whoever has the journal can undo them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress

from launcher.errors import Diagnostic
from launcher.executor.keeper import binding, mediated, network
from launcher.executor.keeper.undo import Undo
from launcher.kernel.api import Kernel
from launcher.plan.firmware import OpenVariables
from launcher.plan.seed import StartSeedEngine
from launcher.plan.step import Step
from launcher.plan.steps import (
    BindDriver,
    KeepState,
    LoadModules,
    MakeMdev,
    SetVirtualFunction,
    StaysBound,
)
from launcher.plan.virtio import ConnectEngine, MakeTap, OpenTap, StartDiskEngine, StartShareEngine, StartUserNetwork
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import HostDevice
from launcher.vms.journal import UNREADABLE, Entry, Journal, pending, pending_in

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from launcher.vms.folder import StateFolder

# Nothing to put back: the folder goes by itself.
OWN = (KeepState.op,)
# Engines and taps: few VMs have any, and how they are started and ended is imported for those.
SERVED = (StartDiskEngine, StartShareEngine, StartUserNetwork, StartSeedEngine, MakeTap, OpenTap, ConnectEngine)


def memory_of(step: Step, kernel: Kernel) -> dict[str, Any] | None:
    """What the journal has to keep of a step; None: the step changes nothing that is put back. An engine is a process
    by then, which waits."""
    if isinstance(step, SERVED):
        kept: dict[str, Any] | None = _served().memory_of(step, kernel)
        return kept
    if isinstance(step, BindDriver):
        return binding.memory_of(step)
    if isinstance(step, SetVirtualFunction):
        return network.memory_of(step)
    if isinstance(step, MakeMdev):
        return mediated.memory_of(step)
    return {"folder": step.folder} if isinstance(step, KeepState) else None


def check(step: Step, kernel: Kernel) -> None:
    """StepFailed, before the journal has the step: the host is not as planned."""
    if isinstance(step, BindDriver):
        binding.check(step, kernel.drivers)
    if isinstance(step, SetVirtualFunction):
        network.check(step, kernel.virtual_functions)
    if isinstance(step, MakeMdev):
        mediated.check(step, kernel.drivers)


def change(step: Step, kernel: Kernel) -> None:
    known = _served().CHANGE if isinstance(step, SERVED) else CHANGE
    known[type(step)](step, kernel)


CHANGE: dict[type[Step], Callable[[Any, Kernel], None]] = {
    KeepState: lambda *_: None,  # the folder was made when it was claimed
    LoadModules: lambda step, kernel: kernel.load_modules(step.modules),
    BindDriver: lambda step, kernel: binding.bind(step, kernel.drivers),
    StaysBound: lambda *_: None,
    SetVirtualFunction: lambda step, kernel: network.tell(step, kernel.virtual_functions),
    MakeMdev: lambda step, kernel: mediated.make(step, kernel.drivers),
    OpenVariables: lambda step, kernel: _variables().open_variables(step, kernel),
}


UNDO: dict[str, Undo] = {
    BindDriver.op: Undo(
        binding.read_memory, lambda one, kernel: binding.rebind(one, kernel.drivers), binding.describe, binding.commands
    ),
    SetVirtualFunction.op: Undo(
        network.read_memory,
        lambda one, kernel: network.restore(one, kernel.virtual_functions),
        network.describe,
        network.commands,
    ),
    MakeMdev.op: Undo(
        mediated.read_memory,
        lambda one, kernel: mediated.remove(one, kernel.drivers),
        mediated.describe,
        mediated.commands,
    ),
}


def _served() -> ModuleType:
    from launcher.executor.keeper import changing_served

    return changing_served


def _variables() -> ModuleType:
    from launcher.executor.keeper import variables

    return variables


def _is_served(entry: Entry) -> bool:
    return any(entry.op == kind.op for kind in SERVED)


def left_of(path: Path) -> list[Entry]:
    """What the journal there says is still to be undone. Refused: a later vmlaunch wrote it."""
    return _still(pending(path))


def left_in(folder: StateFolder) -> list[Entry]:
    """The same of a folder that is claimed."""
    return _still(pending_in(folder))


def left_by(journal: Journal) -> list[Entry]:
    """The same of a journal that is open."""
    return _not_own(journal.pending())


def _not_own(entries: Iterable[Entry]) -> list[Entry]:
    return [entry for entry in entries if entry.op not in OWN]


def _still(entries: Iterable[Entry]) -> list[Entry]:
    """Without what has gone with its keeper, as engines do and the taps that they had."""
    return [entry for entry in entries if entry.op not in OWN and not _has_gone(entry)]


def _has_gone(entry: Entry) -> bool:
    gone: dict[str, Callable[[Any], bool]] = _served().GONE if _is_served(entry) else {}
    with suppress(OSError):
        return entry.op in gone and gone[entry.op](_kept(entry))
    return False


def _addresses(entries: Iterable[Entry]) -> Iterator[HostDevice]:
    return (address for entry in entries if (address := address_of(entry)) is not None)


def groups_reached(entries: Iterable[Entry], kernel: Kernel) -> Iterator[int]:
    """IOMMU groups whose devices are touched when the entries are undone."""
    for address in _addresses(entries):
        group = kernel.drivers.group(address)
        if group is not None:
            yield group


def nodes_reached(entries: Iterable[Entry], kernel: Kernel) -> Iterator[tuple[int, str]]:
    """Their groups and their own nodes, by which they are open where iommufd has them."""
    for address in _addresses(entries):
        group, node = kernel.drivers.group(address), kernel.drivers.node(address)
        if group is not None and node is not None:
            yield group, node


def undo_all(
    entries: Iterable[Entry],
    journal: Journal,
    kernel: Kernel,
    undone: Callable[[int, str], None] = lambda *_: None,
    begins: Callable[[int], None] = lambda _: None,
) -> list[tuple[Entry, OSError]]:
    """`entries` are what the journal has left, last deed first; one that fails does not keep the rest.

    What could not be undone is answered, and stays in the journal; `undone` hears what was left to somebody else.
    """
    left = []
    for entry in entries:
        begins(entry.n)
        try:
            note = _undo_of(entry).restore(_kept(entry), kernel)
        except OSError as error:
            left.append((entry, error))
            continue
        with suppress(OSError):  # a full /run: it would be looked at once more, and found as it was
            journal.undone(entry.n)
        undone(entry.n, note)
    return left


def left_so(note: str) -> Diagnostic:
    """What `undone` hears, for people."""
    return Diagnostic("W543", note, help=("`ip link show` says what it has now",))


def _undo_of(entry: Entry) -> Undo:
    if entry.op == UNREADABLE:
        raise OSError(errno.EINVAL, f"line {-entry.n} of the journal cannot be read")
    known: dict[str, Undo] = _served().UNDO if _is_served(entry) else UNDO
    if entry.op not in known:
        raise OSError(errno.EINVAL, f"step {entry.n} of the journal is not known to this version: {entry.op!r}")
    return known[entry.op]


def _kept(entry: Entry) -> Any:
    return _undo_of(entry).read(entry.undo)


def address_of(entry: Entry) -> HostDevice | None:
    """None: it is about no device, or says nothing to us."""
    with suppress(OSError):
        address: HostDevice | None = getattr(_kept(entry), "address", None)
        return address
    return None


def describe(entry: Entry) -> str:
    """What undoing the entry does."""
    try:
        return _undo_of(entry).describe(_kept(entry))
    except OSError:
        return f"{entry.op} of step {entry.n}" if entry.n > 0 else "the damaged journal"


def commands(entry: Entry) -> str:
    """How an administrator would undo the entry; a comment for one that this version does not understand."""
    try:
        return _undo_of(entry).commands(_kept(entry))
    except OSError as error:
        return f"# {error.strerror}"
