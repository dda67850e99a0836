"""A guest that does anything to its devices, on the fake kernel: nothing is refused, lost or kept."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path
from random import Random

import pytest

from launcher.executor.runner.devices.traps import ASKED
from launcher.executor.runner.live import Ram
from launcher.plan.steps import BarPlace
from launcher.values import KIB, MIB, Span
from tests.fakes.host import everything
from tests.unit.executor.passing import (
    CARD,
    CARD_BAR,
    CARD_PORTS,
    CONFIG,
    DRIVE,
    DRIVE_BAR,
    DUAL,
    DUAL_BAR,
    MEMORY,
    OTHER,
    OTHER_BAR,
    passed,
)
from tests.unit.executor.runner.test_devices_at_run_time import Vm

LONG = bool(os.environ.get("VMLAUNCH_LONG"))
ACCESSES, SEEDS = (100_000, range(5)) if LONG else (10_000, range(1))
ALL = 6 * 8  # the guest's slot of the function that has everything
ALL_BARS, ALL_PORTS = 0xC0040000, 0xC200
POWER_STATE = 0x44
FUNCTIONS = (DRIVE, CARD, DUAL, OTHER, ALL)
HIGH_RAM, BEYOND = 1 << 32, 1 << 60

# Where something happens: BARs, ROM, command; control registers of capabilities, power state, resets.
REGISTERS = (
    *range(0x10, 0x28, 4),
    0x30,
    *(0x04,) * 6,
    0x42,
    0x44,
    0x52,
    0x54,
    0x58,
    0x5C,
    0x60,
    0x72,
    0x88,
    0x89,
    0xC4,
)
# Onto each other, in part too, onto RAM, onto what is the machine's own, past its end.
PLACES = (
    *(start + step for start in (DRIVE_BAR, CARD_BAR, DUAL_BAR, ALL_BARS) for step in (0, 0x100, 0x1000, 0x4000)),
    *(start + step for start in (CARD_PORTS, ALL_PORTS) for step in (0, 0x20, 0x80)),
    *(0, 0x3F8, 0xCF8, 16 * MIB, HIGH_RAM, 0xFED00000, 0xFEE00000, 0xFFFFF000, OTHER_BAR, 1 << 38, (1 << 64) - 4096),
)


class Guest:
    """One access after the other, each told by the seed."""

    def __init__(self, vm: Vm, seed: int) -> None:
        self._vm, self._random = vm, Random(seed)
        self._acts = (self._config,) * 11 + (self._table,) * 6 + (self._place, self._place, self._fire)

    def act(self) -> None:
        self._random.choice(self._acts)()

    def _config(self) -> None:
        offset = self._random.choice(REGISTERS) if self._random.random() < 0.8 else self._random.randrange(4096)
        self._access(CONFIG, self._random.choice(FUNCTIONS) * 4096 + offset)

    def _place(self) -> None:
        """A BAR where others are as well; and the function wakes and listens."""
        function, bar = self._random.choice(FUNCTIONS), self._random.choice((0x10, 0x18, 0x1C, 0x30))
        for offset, value in ((bar, self._random.choice(PLACES) | 1), (0x14, 0), (POWER_STATE, 0), (0x04, 7)):
            self._vm.bus.write(CONFIG, function * 4096 + offset, 4, value & 0xFFFFFFFF)

    def _table(self) -> None:
        """Of MSI-X, and what waits; or just beside it."""
        asked = [trap for trap in self._vm.built.machine.memory if trap.kind in ASKED]
        if asked:
            trap = self._random.choice(asked)
            self._access(MEMORY, trap.start + self._random.randrange(-4, trap.size + 4))

    def _fire(self) -> None:
        hardware = self._random.choice(self._vm.kernel.devices)
        lines = [(kind, n) for kind, events in hardware.irqs.items() for n, event in enumerate(events) if event != -1]
        if lines:
            hardware.fire(*self._random.choice(lines))

    def _access(self, space: int, address: int) -> None:
        size = self._random.choice((1, 2, 4, 4, 8))
        if self._random.random() < 0.3:
            assert 0 <= self._vm.bus.read(space, address, size) < 1 << 64
        else:
            self._vm.bus.write(space, address, size, self._value() & (1 << 8 * size) - 1)

    def _value(self) -> int:
        place = self._random.choice(PLACES)
        return self._random.choice((0, (1 << 64) - 1, 7, place, place | 1, self._random.getrandbits(64)))


def vm_of(folder: Path, **host: object) -> Vm:
    bars = (
        BarPlace(0, "mem64", True, 64 * KIB, ALL_BARS, "mmap"),
        BarPlace(2, "io", False, 64, ALL_PORTS, "trap"),
        BarPlace(3, "mem32", False, 16 * KIB, ALL_BARS + 64 * KIB, "split"),
    )
    return Vm(folder, (everything("0000:04:00.0", 4), passed("all", "0000:04:00.0", 4, ALL, *bars)), **host)


def reached(vm: Vm) -> list[Span]:
    """RAM, and the BARs that the guest reaches now; ports are beyond all memory."""
    found = [Span(one.guest, one.size) for one in vm.live.the(Ram).ranges]
    for one in vm.bus.functions:
        ports = {bar.index for bar in one.step.bars if bar.kind == "io"}
        there = [bar for bar in one.report().bars if bar.guest is not None]
        found += [Span(bar.guest + (BEYOND if bar.index in ports else 0), bar.size) for bar in there]
    return found


def states(vm: Vm) -> list[str]:
    return [one.report().state for one in vm.bus.functions]


def done_without(vm: Vm) -> list[str]:
    """What each function had to do without, after what was seen of it."""
    return [one.report().state.partition("; ")[2] for one in vm.bus.functions]


def all_is_given_back(vm: Vm) -> bool:
    return vm.down() == [] == vm.kernel.left()


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_a_guest_writes_the_kernel_refuses_nothing_and_has_all_back(tmp_path: Path, seed: int) -> None:
    vm = vm_of(tmp_path)
    guest, before = Guest(vm, seed), done_without(vm)
    for _ in range(ACCESSES):
        guest.act()
        assert not [both for both in combinations(reached(vm), 2) if both[0].overlaps(both[1])]
        assert done_without(vm) == before
    assert all_is_given_back(vm)


@pytest.mark.parametrize("seed", SEEDS)
def test_where_memslots_vectors_and_descriptors_are_few_a_guest_does_without(tmp_path: Path, seed: int) -> None:
    vm = vm_of(tmp_path, memslots=6, vectors=3)
    vm.kernel.most_eventfds = len(vm.kernel.eventfds) + 6
    guest = Guest(vm, seed)
    for _ in range(ACCESSES):
        guest.act()
        assert not [both for both in combinations(reached(vm), 2) if both[0].overlaps(both[1])]
    assert any("memslot" in one for one in states(vm))
    assert any("vectors" in one for one in states(vm))
    assert all_is_given_back(vm)
