"""The runner's handles while it carries out a plan, and guest memory by guest address."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

from launcher.executor.runner.devices.bus import Bus
from launcher.executor.runner.dma import DmaSpace
from launcher.executor.runner.undo import UndoStack
from launcher.kernel.api import Group, HostMemory, Kernel, Kvm, Machine, Vcpu, Vm
from launcher.kernel.machine import Console
from launcher.machine.board import Board
from launcher.plan.steps import LoadKernel, RamRange
from launcher.record import field, mutable
from launcher.values import MIB, Span


class Numbers(NamedTuple):
    """What the guest did, by name; returns from KVM_RUN for each vCPU."""

    counts: dict[str, int]
    exits: list[int]

    def plus(self, other: Numbers) -> Numbers:
        names = {**other.counts, **self.counts}
        counts = {name: self.counts.get(name, 0) + other.counts.get(name, 0) for name in names}
        return Numbers(counts, [sum(pair) for pair in zip_longest(self.exits, other.exits, fillvalue=0)])


@mutable
class Live:
    """Filled step by step. `cpus` are the host CPUs that this process may use."""

    kernel: Kernel
    console: Console
    cpus: set[int]
    progress: Callable[[int, int], None]  # of the step in hand: bytes done, bytes in all
    board: Board
    step: int = 0  # number of the step in hand
    undo: UndoStack = field(default_factory=UndoStack)
    banks: dict[int, HostMemory] = field(default_factory=dict)
    ranges: tuple[RamRange, ...] = ()
    kernel_step: LoadKernel | None = None
    kernel_head: bytes = b""  # as much of the kernel's file as its boot protocol reads when it starts
    initrd: Span | None = None
    kvm: Kvm | None = None
    vm: Vm | None = None
    machine: Machine | None = None
    containers: list[DmaSpace] = field(default_factory=list)
    groups: dict[int, Group] = field(default_factory=dict)
    bus: Bus | None = None
    vcpus: list[Vcpu] = field(default_factory=list)
    past: Numbers | None = None  # of the lives before a reboot
    kept: dict[str, int] = field(default_factory=dict)  # descriptors for all lives

    def numbers(self) -> Numbers:
        """Of this life and those before a reboot."""
        counts = self.machine.counts() if self.machine else {}
        if self.bus:
            counts["faults"] = self.bus.faults
        now = Numbers(counts, [vcpu.exits for vcpu in self.vcpus])
        return now if self.past is None else now.plus(self.past)

    def on_undo(self, undo: Callable[[], None]) -> None:
        """To be called on the line after the deed."""
        self.undo.push(self.step, undo)

    def once(self, what: str, make: Callable[[], int]) -> int:
        """A descriptor that is made in the first life only: in those after a reboot nothing can be opened."""
        if what not in self.kept:
            self.kept[what] = make()
            self.undo.push(self.step, partial(os.close, self.kept[what]), stays=True)
        return self.kept[what]

    def clear(self, guest: int, size: int) -> None:
        """Zeroes into guest RAM."""
        for start in range(guest, guest + size, MIB):
            self.write(start, bytes(min(MIB, guest + size - start)))

    def write(self, guest: int, data: bytes) -> None:
        """Into guest RAM. ValueError where there is none: the planner has seen to it that there is."""
        for one in self.ranges:
            if one.guest <= guest and guest + len(data) <= one.guest + one.size:
                self.banks[one.bank].write(one.offset + guest - one.guest, data)
                return
        raise ValueError(f"no guest RAM for {len(data)} bytes at {guest:#x}")
