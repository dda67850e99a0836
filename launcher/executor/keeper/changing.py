"""Steps of the keeper in, performed; entries of a journal in, undone. Whoever has the journal can undo them."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from launcher.errors import Diagnostic
from launcher.executor.keeper import binding, engines, network, taps
from launcher.kernel.api import Kernel
from launcher.plan.step import Step
from launcher.plan.steps import (
    BindDriver,
    KeepState,
    LoadModules,
    SetVirtualFunction,
    StaysBound,
)
from launcher.plan.virtio import ConnectEngine, MakeTap, OpenTap, StartDiskEngine, StartShareEngine, StartUserNetwork
from launcher.values import PciAddress
from launcher.vms.journal import UNREADABLE, Entry, Journal, pending, pending_in

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.vms.folder import StateFolder

# Nothing to put back: the folder goes by itself.
OWN = (KeepState.op,)


def memory_of(step: Step, kernel: Kernel) -> dict[str, Any] | None:
    """What the journal has to keep of a step; None: the step changes nothing that is put back. An engine is a process
    by then, which waits."""
    if isinstance(step, engines.STARTS):
        return engines.prepare(step, kernel)
    if isinstance(step, MakeTap):
        return taps.memory_of(step)
    if isinstance(step, BindDriver):
        return binding.memory_of(step)
    if isinstance(step, SetVirtualFunction):
        return network.memory_of(step)
    return {"folder": step.folder} if isinstance(step, KeepState) else None


def check(step: Step, kernel: Kernel) -> None:
    """StepFailed, before the journal has the step: the host is not as planned."""
    if isinstance(step, BindDriver):
        binding.check(step, kernel.drivers)
    if isinstance(step, SetVirtualFunction):
        network.check(step, kernel.virtual_functions)


def change(step: Step, kernel: Kernel) -> None:
    CHANGE[type(step)](step, kernel)


CHANGE: dict[type[Step], Callable[[Any, Kernel], None]] = {
    KeepState: lambda *_: None,  # the folder was made when it was claimed
    LoadModules: lambda step, kernel: kernel.load_modules(step.modules),
    BindDriver: lambda step, kernel: binding.bind(step, kernel.drivers),
    StaysBound: lambda *_: None,
    SetVirtualFunction: lambda step, kernel: network.tell(step, kernel.virtual_functions),
    StartDiskEngine: engines.start,
    StartShareEngine: engines.start,
    StartUserNetwork: engines.start,
    MakeTap: taps.make,
    OpenTap: taps.attach,
    ConnectEngine: taps.connect,
}


class Undo(NamedTuple):
    """Of a kind of step: what the journal kept of it, read; that put back, with what is left as it is in words; in
    words for people, and as commands."""

    read: Callable[[dict[str, Any]], Any]
    restore: Callable[[Any, Kernel], str]
    describe: Callable[[Any], str]
    commands: Callable[[Any], str]


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
    MakeTap.op: Undo(taps.read_memory, taps.remove, taps.describe, taps.commands),
    **{kind.op: Undo(engines.read_memory, engines.end, engines.describe, engines.commands) for kind in engines.STARTS},
}


# Of what may have gone by itself: whether it has.
GONE: dict[str, Callable[[Any], bool]] = {
    MakeTap.op: taps.has_gone,
    **{kind.op: engines.has_gone for kind in engines.STARTS},
}


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
    with suppress(OSError):
        return entry.op in GONE and GONE[entry.op](_kept(entry))
    return False


def groups_reached(entries: Iterable[Entry], kernel: Kernel) -> Iterator[int]:
    """IOMMU groups whose devices are touched when the entries are undone."""
    for address in filter(None, map(address_of, entries)):
        group = kernel.drivers.group(address)
        if group is not None:
            yield group


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
    if entry.op not in UNDO:
        raise OSError(errno.EINVAL, f"step {entry.n} of the journal is not known to this version: {entry.op!r}")
    return UNDO[entry.op]


def _kept(entry: Entry) -> Any:
    return _undo_of(entry).read(entry.undo)


def address_of(entry: Entry) -> PciAddress | None:
    """None: it is about no function of PCI, or says nothing to us."""
    with suppress(OSError):
        address: PciAddress | None = getattr(_kept(entry), "address", None)
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
