"""What a guest does to its devices while it runs: the kernel's refusals are noted once, and nothing raises."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.executor.runner.devices.passed import PassedDevice
from launcher.executor.runner.live import Built, Live
from launcher.executor.runner.perform import PERFORM
from launcher.kernel.api import Event, MsiRoute
from launcher.kernel.console import Console
from launcher.machine.boards import board_of
from launcher.plan.outcome import DeviceReport
from launcher.plan.plan import Plan
from launcher.plan.steps import BarPlace, GiveMemory, MapDma, Passed, RamRange, RunVcpus
from launcher.record import replace
from launcher.values import KIB, PciAddress
from tests.fakes.host import FakeFunction, dual_card
from tests.fakes.kernel import FakeKernel
from tests.unit.executor.passing import (
    CARD,
    COMMAND,
    DECODE,
    DRIVE,
    DRIVE_BAR,
    DUAL,
    MEMORY,
    MSI,
    MSIX,
    TABLE,
    config,
    entry,
    host_of,
    passing_plan,
)

PENDING = TABLE + 0x1000
PAGE = 4 * KIB


def in_ranges(plan: Plan, count: int) -> Plan:
    """With RAM's first range cut, in which the guest's tables are not touched: `count` in all."""
    give = next(step for step in plan.steps if isinstance(step, GiveMemory))
    first, *rest = give.ranges
    more = count - len(give.ranges)
    whole = first.size - more * PAGE
    tail = (
        RamRange(first.guest + whole + n * PAGE, PAGE, first.bank, first.offset + whole + n * PAGE) for n in range(more)
    )
    ranges = (replace(first, size=whole), *tail, *rest)
    cut = (replace(one, ranges=ranges) if isinstance(one, GiveMemory | MapDma) else one for one in plan.steps)
    return replace(plan, steps=tuple(cut))


ON, OFF = config(DRIVE, MSIX + 2, 0x8000), config(DRIVE, MSIX + 2, 0)


class Vm:
    """A VM that is set up and whose guest does what it is told, one access at a time."""

    def __init__(
        self,
        folder: Path,
        *others: tuple[FakeFunction, Passed],
        memslots: int = 509,
        most_routes: int = 4096,
        ranges: int = 2,
        **host: object,
    ) -> None:
        machine = host_of(*(function for function, _ in others), **host)
        self.kernel = FakeKernel(host=machine, memslots=memslots, most_routes=most_routes)
        self.console = Console()
        self.live = Live(self.kernel, self.console, {0}, lambda *_: None, board_of("x86_64"), lambda: None)
        plan = in_ranges(passing_plan(folder, *(passed for _, passed in others)), ranges)
        for n, step in enumerate(plan.steps, 1):
            if step.by == "runner" and not isinstance(step, RunVcpus):
                self.live.step = n
                PERFORM[type(step)](step, self.live)
        self.built = self.live.the(Built)
        self.bus = self.built.bus

    def do(self, *events: Event) -> None:
        for event in events:
            self.bus.write(*event.data)

    def refusing(self, error: int, *events: Event, call: int = 1) -> str:
        """The `call`th of the kernel's calls that the guest causes is refused: its name."""
        self.kernel.fail_at, self.kernel.error = len(self.kernel.calls) + call, error
        self.do(*events)
        return self.kernel.calls[self.kernel.fail_at - 1]

    def device(self, slot: int = DRIVE) -> PassedDevice:
        return next(one for one in self.bus.functions if one.devfn == slot)

    def report(self, slot: int = DRIVE) -> DeviceReport:
        return self.device(slot).report()

    def hardware(self, n: int = 0):
        return next(one for one in self.kernel.devices if one.function is self.kernel.host.functions[n])

    def down(self) -> list[str]:
        failed: list[str] = []
        self.live.undo.unwind(lambda _: None, lambda _, error: failed.append(str(error)))
        self.console.close()
        return failed


@pytest.fixture
def vm(tmp_path: Path) -> Iterator[Vm]:
    made = Vm(tmp_path)
    yield made
    assert made.down() == []
    assert made.kernel.left() == []


def decode(slot: int, value: int = DECODE) -> Event:
    return config(slot, COMMAND, value)


def msi(count: int) -> tuple[Event, ...]:
    at = (config(DUAL, MSI + 4, 0xFEE00000, 4), config(DUAL, MSI + 8, 0, 4), config(DUAL, MSI + 12, 0x80))
    return (*at, config(DUAL, MSI + 2, 0x85 | count << 4))


def test_a_bar_that_kvm_does_not_take_is_trapped_until_it_is_moved(vm: Vm) -> None:
    assert vm.refusing(errno.ENOMEM, decode(DRIVE), call=2) == "KVM_SET_USER_MEMORY_REGION"
    seen, against, why = vm.report().state.split("; ")
    assert against == "BAR 0 is served by trap, planned split"
    assert seen == "memory on"
    assert why == "BAR 0 is trapped: Cannot allocate memory (KVM_SET_USER_MEMORY_REGION)"
    assert vm.report().bars[0].served == "trap"
    assert any(one.kind == "file" and one.start == DRIVE_BAR for one in vm.built.machine.memory)
    vm.do(decode(DRIVE, 0), decode(DRIVE))
    assert vm.report().bars[0].served == "split"


def test_without_a_memslot_left_bars_are_trapped(tmp_path: Path) -> None:
    """A kernel with 4 has two for BARs: RAM takes two."""
    vm = Vm(tmp_path, memslots=4)
    vm.do(decode(DRIVE), decode(DUAL))
    assert vm.report().state == "memory on"
    assert vm.report(DUAL).state == "memory on; BAR 2 is trapped: KVM has no memslot left"
    vm.do(decode(DRIVE, 0))
    assert vm.down() == []


def test_a_bar_that_vfio_maps_otherwise_than_planned_is_told(tmp_path: Path) -> None:
    """Before the guest has looked at it, and whether that is less than the plan says or more."""
    where = PciAddress(0, 0, 7, 0)
    for planned, told in (("mmap", "; BAR 2 is served by split, planned mmap"), ("split", "")):
        bar = BarPlace(2, "mem32", False, 16 * KIB, 0xC0080000, planned)
        third = Passed("third", PciAddress.parse("0000:04:00.0"), 4, where, (bar,), True)
        vm = Vm(tmp_path, (dual_card("0000:04:00.0", 4), third))
        report = vm.report(where.device * 8)
        assert (report.state, report.bars[0].planned) == (f"never touched{told}", planned)
        assert vm.down() == []


def test_a_bar_over_another_one_is_not_there(vm: Vm) -> None:
    vm.do(decode(DRIVE), config(DUAL, 0x18, DRIVE_BAR, 4), decode(DUAL))
    assert vm.report(DRIVE).bars[0].guest == DRIVE_BAR
    assert vm.report(DUAL).bars[0].guest is None


def test_a_bar_is_not_laid_over_the_mapped_part_of_another_one(vm: Vm) -> None:
    """There is no trap in the way: the first 8 KiB of the drive are a memslot."""
    vm.do(decode(DRIVE), config(CARD, 0x14, DRIVE_BAR + 0x100, 4), decode(CARD))
    assert vm.report(CARD).bars[1].guest is None
    vm.do(decode(DRIVE, 0), decode(CARD))
    assert vm.report(CARD).bars[1].guest == DRIVE_BAR + 0x100


def test_vectors_that_the_host_has_are_used_and_the_others_noted(tmp_path: Path) -> None:
    vm = Vm(tmp_path, vectors=2)
    vm.do(decode(DRIVE), config(DRIVE, MSIX + 2, 0xC000), *(word for n in range(4) for word in entry(n)), ON)
    assert vm.report().vectors == 2
    assert vm.report().state.endswith("of 4 interrupt vectors: the host has 2 of 4 vectors")
    vm.do(*entry(0))
    vm.hardware().fire("msix", 1)
    assert len(vm.kernel.delivered) == 1
    assert vm.down() == []
    assert vm.kernel.left() == []


def test_vectors_that_were_there_work_on_when_no_more_can_be_had(vm: Vm) -> None:
    vm.do(decode(DRIVE), ON, *entry(0))
    vm.kernel.host.vectors = 1
    vm.do(*entry(1), *entry(2))
    assert vm.report().vectors == 1
    vm.hardware().fire("msix", 0)
    assert len(vm.kernel.delivered) == 1
    vm.kernel.host.vectors = 4
    vm.do(OFF, ON)
    assert vm.report().vectors == 3


def test_the_same_trouble_over_and_over_is_noted_once(tmp_path: Path) -> None:
    vm = Vm(tmp_path, vectors=0)
    for _ in range(50):
        vm.do(decode(DRIVE), ON, *entry(0), *entry(3), OFF, *msi(2), config(DUAL, MSI + 2, 0x84))
    assert vm.report().state.count("interrupt vectors") == 1
    assert vm.report(DUAL).state.count("interrupt vectors") == 1
    assert vm.down() == []


def test_no_descriptor_left_for_a_vector_is_noted(vm: Vm) -> None:
    vm.kernel.most_eventfds = 0
    vm.do(ON, *entry(0))
    assert "0 of 1 interrupt vectors: Too many open files" in vm.report().state
    vm.kernel.most_eventfds = 100
    vm.do(OFF, ON)
    assert vm.report().vectors == 1


def test_no_descriptor_left_for_the_line_is_noted_and_half_of_it_is_closed(vm: Vm) -> None:
    vm.do(ON)
    vm.kernel.most_eventfds = len(vm.kernel.eventfds) - vm.report().vectors + 1
    vm.do(OFF)
    assert vm.report().interrupts == "none"
    assert "Too many open files (eventfd)" in vm.report().state


@pytest.mark.parametrize("call", range(1, 8))
def test_a_line_that_cannot_be_armed_is_taken_apart_again(vm: Vm, call: int) -> None:
    vm.do(ON, *entry(0))
    before = len(vm.kernel.calls)
    vm.do(OFF)
    arming = vm.kernel.calls[before:]
    first = arming.index("eventfd")
    assert (
        arming[first:] == ["eventfd"] * 2 + ["VFIO_DEVICE_SET_IRQS"] * 2 + ["KVM_IRQFD"] + ["VFIO_DEVICE_SET_IRQS"] * 2
    )
    vm.do(ON)
    vm.refusing(errno.EBUSY, OFF, call=first + call)
    assert vm.report().interrupts == "none"
    assert "intx" not in vm.hardware().irqs
    vm.do(ON, *entry(0))
    assert vm.report().interrupts == "msix"


def test_a_configuration_write_that_fails_is_noted_and_the_guest_goes_on(vm: Vm) -> None:
    assert vm.refusing(errno.EIO, decode(CARD, 0)) == "pwrite"
    vm.do(decode(CARD))
    assert "Input/output error (pwrite)" in vm.report(CARD).state


def test_a_configuration_read_that_fails_is_all_ones(vm: Vm) -> None:
    vm.kernel.fail_at = len(vm.kernel.calls) + 1
    assert vm.bus.read(3, DRIVE * 4096 + 0x04, 2) & 0xFF == 0xFF
    assert "could not be read" in vm.report().state


def test_a_bar_that_stays_in_the_iommu_does_not_keep_its_memslot(tmp_path: Path) -> None:
    vm = Vm(tmp_path)
    vm.do(decode(DRIVE))
    before = len(vm.kernel.calls)
    vm.do(decode(DRIVE, 0), decode(DRIVE))
    unmap = vm.kernel.calls[before:].index("VFIO_IOMMU_UNMAP_DMA") + 1
    vm.refusing(errno.EIO, decode(DRIVE, 0), call=unmap)
    assert "(VFIO_IOMMU_UNMAP_DMA)" in vm.report().state
    assert vm.report().bars[0].guest is None
    assert not any(one.start == DRIVE_BAR for one, _ in vm.built.vm.slots.values())
    assert vm.down() == []
    assert vm.kernel.left()
    assert all("mapped" in one for one in vm.kernel.left())


def test_a_masked_vector_waits_in_the_pending_bits_and_comes_when_it_is_unmasked(vm: Vm) -> None:
    vm.do(decode(DRIVE), ON, *entry(0), *entry(1), *entry(1, masked=True))
    vm.hardware().fire("msix", 1)
    assert vm.kernel.delivered == []
    assert vm.bus.read(MEMORY, PENDING, 8) == 0b10
    vm.do(Event("write", (MEMORY, PENDING, 8, 0)))
    assert vm.bus.read(MEMORY, PENDING, 8) == 0b10
    vm.do(*entry(1))
    assert len(vm.kernel.delivered) == 1
    assert vm.bus.read(MEMORY, PENDING, 8) == 0


def test_a_vector_that_was_off_while_another_came_fires_once_for_what_it_may_have_lost(vm: Vm) -> None:
    vm.do(decode(DRIVE), ON, *entry(0))
    (first,) = (one for one in vm.kernel.eventfds if vm.kernel.irqfds.get(one.fd, 0) > 23)  # no line
    assert not first.readable()
    vm.do(*entry(1))
    assert [one for one in vm.kernel.eventfds if one.readable()] == [first]


def test_a_guest_that_asks_for_more_messages_than_there_are_gets_those(vm: Vm) -> None:
    vm.do(*msi(7))
    assert (vm.report(DUAL).interrupts, vm.report(DUAL).vectors) == ("msi", 4)


def test_ram_of_any_number_of_ranges_leaves_its_memslots_alone(tmp_path: Path) -> None:
    """In KVM a slot that is in use has its size for good: EINVAL for whoever takes it again."""
    vm = Vm(tmp_path, ranges=70)
    vm.do(decode(DRIVE), decode(DUAL))
    assert (vm.report().bars[0].served, vm.report(DUAL).bars[0].served) == ("split", "split")
    assert vm.report().state == vm.report(DUAL).state == "memory on"
    assert vm.down() == []


def test_a_vm_has_no_more_vectors_than_kvm_routes_and_the_report_says_so(tmp_path: Path) -> None:
    """38 pins are the machine's own. What is beyond has no eventfd either."""
    vm = Vm(tmp_path, most_routes=40)
    vm.do(decode(DRIVE))
    before = len(vm.kernel.eventfds)
    vm.do(ON, *entry(0), *entry(1), *entry(2))
    assert vm.report().vectors == 2
    assert vm.report().state == "memory on; 2 of 3 interrupt vectors: KVM routes 40 interrupts of one VM"
    assert len(vm.kernel.eventfds) == before  # there were two for INTx
    assert len([one for one in vm.kernel.routes.values() if isinstance(one, MsiRoute)]) == 2
    vm.do(OFF, *msi(0), decode(DUAL))
    assert vm.report(DUAL).vectors == 1
    assert vm.down() == []
