"""What the runner has made of a plan so far: a record of each step that makes something, and what undoes it.

Records that only their makers and readers know are with them: OpenedGroups in spaces, AddressMap in devices.placing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from itertools import zip_longest

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.runner.devices.bus import Bus
from launcher.executor.runner.devices.routes import Routes
from launcher.executor.runner.undo import UndoStack
from launcher.kernel.api import SPACES, HostMemory, Kernel, Kvm, Machine, MemoryPart, Vcpu, Vm
from launcher.kernel.console import Console
from launcher.machine.board import Board
from launcher.machine.start import Start
from launcher.plan.outcome import Unanswered
from launcher.plan.steps import DescribeMachine, LoadKernel, RamRange
from launcher.record import field, mutable
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING, Any, TypeVar
from launcher.values import MIB, Span

if TYPE_CHECKING:
    from launcher.executor.runner.devices.serving import Engine
    from launcher.plan.firmware import LoadFirmware

T = TypeVar("T")
Name = TypeVar("Name", str, tuple[int, int])

MOST_PLACES = 16  # that a report has


class Numbers(NamedTuple):
    """What the guest did, by name; returns from KVM_RUN for each vCPU; how often nobody was at a (space, address)."""

    counts: dict[str, int]
    exits: list[int]
    places: dict[tuple[int, int], int]

    def plus(self, other: Numbers) -> Numbers:
        exits = [sum(pair) for pair in zip_longest(self.exits, other.exits, fillvalue=0)]
        return Numbers(_sums(self.counts, other.counts), exits, _sums(self.places, other.places))

    def unanswered(self) -> tuple[Unanswered, ...]:
        """The most first."""
        most = sorted(self.places.items(), key=lambda one: (-one[1], one[0]))[:MOST_PLACES]
        return tuple(Unanswered("port" if SPACES[space] == "port" else "memory", at, n) for (space, at), n in most)


def _sums(one: dict[Name, int], other: dict[Name, int]) -> dict[Name, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in {**other, **one}}


class Built(NamedTuple):
    """A VM with its own devices and a bus for others, without memory or vCPUs: what create_vm makes."""

    kvm: Kvm
    vm: Vm
    machine: Machine
    bus: Bus
    routes: Routes


class Ram(NamedTuple):
    """Guest memory by guest address: what give_memory makes."""

    banks: Mapping[int, HostMemory]
    ranges: tuple[RamRange, ...]

    def parts(self) -> tuple[MemoryPart, ...]:
        """For whoever reads and writes it by address."""
        banks = self.banks
        return tuple(
            MemoryPart(one.guest, one.size, banks[one.bank].address + one.offset, banks[one.bank].file, one.offset)
            for one in self.ranges
        )

    def clear(self, guest: int, size: int) -> None:
        for start in range(guest, guest + size, MIB):
            self.write(start, bytes(min(MIB, guest + size - start)))

    def write(self, guest: int, data: bytes | memoryview) -> None:
        """ValueError where there is none: the planner has seen to it that there is."""
        for bank, offset, start, size in self._pieces(guest, len(data)):
            bank.write(offset, data[start : start + size])

    def _pieces(self, guest: int, size: int) -> list[tuple[HostMemory, int, int, int]]:
        """A bank, a place in it; a place in what is wanted, how much of it."""
        found, done = [], 0
        while done < size:
            at = guest + done
            one = next((one for one in self.ranges if one.guest <= at < one.guest + one.size), None)
            if one is None:
                raise ValueError(f"no guest RAM for {size} bytes at {guest:#x}")
            part = min(size - done, one.guest + one.size - at)
            found.append((self.banks[one.bank], one.offset + at - one.guest, done, part))
            done += part
        return found


@mutable
class Engines:
    """Of virtio functions, by alias. They stay when the guest reboots; a VM without such functions has none."""

    by_alias: dict[str, Engine] = field(default_factory=dict)


class EngineGone(StepFailed):
    """Its engine has hung up before the guest began. The keeper, whose child it is, knows how it ended."""

    def __init__(self, alias: str, why: str) -> None:
        super().__init__(Diagnostic("E571", f"{alias}: {why}"))
        self.alias = alias


class Described(NamedTuple):
    """What the guest is told of its processors, and what KVM calls each of them: what describe_machine makes."""

    step: DescribeMachine
    ids: tuple[int, ...]


class Loaded(NamedTuple):
    """The guest's kernel, as its boot protocol describes it: what load_kernel makes."""

    step: LoadKernel
    start: Start
    head: bytes  # as much of the kernel's file as its boot protocol reads when it starts


class Started(NamedTuple):
    """Firmware, which the first vCPU starts with as after a reset: what load_firmware makes, in place of Loaded."""

    step: LoadFirmware


@mutable
class Live:
    """`cpus` are the host CPUs that this process may use. `made` is by type: steps make one of each."""

    kernel: Kernel
    console: Console
    cpus: set[int]
    progress: Callable[[int, int], None]  # of the step in hand: bytes done, bytes in all
    board: Board
    let_out: Callable[[], None]  # what is to be said and was kept back, for now others may have the processor
    step: int = 0  # number of the step in hand
    undo: UndoStack = field(default_factory=UndoStack)
    made: dict[type[Any], Any] = field(default_factory=dict)
    banks: dict[int, HostMemory] = field(default_factory=dict)
    initrd: Span | None = None
    kvm: Kvm | None = None  # for all lives
    vcpus: list[Vcpu] = field(default_factory=list)
    past: Numbers | None = None  # of the lives before a reboot
    ends: bool = False  # no life comes after this one
    kept: dict[str, int] = field(default_factory=dict)  # descriptors for all lives

    def make(self, one: object) -> None:
        self.made[type(one)] = one

    def the(self, kind: type[T]) -> T:
        """What a step before this one has made. KeyError: there was none, which `plan.whole` has refused."""
        found: T = self.made[kind]
        return found

    def find(self, kind: type[T]) -> T | None:
        """The same for whoever asks at any time. None: no step has made it yet."""
        found: T | None = self.made.get(kind)
        return found

    def numbers(self) -> Numbers:
        """What the guest did in this life and in those before a reboot."""
        built = self.find(Built)
        counts = built.machine.counts() | {"faults": built.bus.faults} if built else {}
        places = built.machine.unanswered() if built else {}
        now = Numbers(counts, [vcpu.exits for vcpu in self.vcpus], places)
        return now if self.past is None else now.plus(self.past)

    def halted(self) -> bool:
        """All vCPUs have executed HLT with interrupts off, at one moment. The first that is awake is the last asked.

        Those that wait for each other in turn, as Linux does for a spin lock, are all found so, one after the other.
        """
        try:
            return bool(self.vcpus) and self._all_asleep()
        finally:
            for vcpu in self.vcpus:
                vcpu.look_over()

    def _all_asleep(self) -> bool:
        return all(vcpu.asleep() for vcpu in self.vcpus) and all(vcpu.still_asleep() for vcpu in self.vcpus)

    def on_undo(self, undo: Callable[[], None]) -> None:
        """To be called on the line after the deed."""
        self.undo.push(self.step, undo)

    def on_undo_late(self, undo: Callable[[], None], *, stays: bool = False) -> None:
        """What the kernel takes its time to free: when the VM ends, devices and their groups are given back before, for
        which others may be waiting."""
        step = self.step
        self.undo.push(step, lambda: self.undo.push_last(step, undo) if self.ends else undo(), stays=stays)

    def once(self, what: str, make: Callable[[], int]) -> int:
        """A descriptor that is made in the first life only: in those after a reboot nothing can be opened."""
        if what not in self.kept:
            self.kept[what] = make()
            self.undo.push(self.step, partial(os.close, self.kept[what]), stays=True)
        return self.kept[what]
