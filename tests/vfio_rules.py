"""VFIO's and KVM's rules as stories: a kernel, an IOMMU group and a function of it that vfio-pci has, alone, in.

They hold for the fake kernel and for a real one: what the executor relies on, and the errno that breaking it gives. The
function is an NVMe drive or like one: a BAR 0 of pages, INTx, MSI-X that cannot grow while it is on.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from typing import Any, NamedTuple

import pytest

from launcher.kernel.api import AddressSpace, AddressSpaces, Device, MsiRoute, Vm
from launcher.kernel.real import RealKernel
from launcher.kernel.type1 import Container, Group
from launcher.machine.x86.board import X86
from launcher.values import KIB, MIB, PciAddress

Rule = Callable[[RealKernel, int, PciAddress], None]

COMMAND, MEMORY_ENABLE = 4, 2
MSI_WINDOW = 0xFEE00000
PAGE = 4 * KIB
GSI = 24  # the first that no chip has


class Opened(NamedTuple):
    container: Container
    group: Group
    device: Device


@contextmanager
def refused(error: int) -> Iterator[None]:
    try:
        yield
    except OSError as refusal:
        if refusal.errno != error:
            raise
    else:
        pytest.fail(f"it was not refused with {errno.errorcode[error]}")


@contextmanager
def joined(kernel: RealKernel, number: int) -> Iterator[tuple[Container, Group]]:
    """A group in a container with an IOMMU."""
    with closing(kernel.open_group(number)) as group, closing(kernel.open_container()) as container:
        group.set_container(container)
        container.set_iommu()
        yield container, group
        group.unset_container()


@contextmanager
def opened(kernel: RealKernel, number: int, address: PciAddress) -> Iterator[Opened]:
    with joined(kernel, number) as (container, group), closing(group.open_device(address)) as device:
        yield Opened(container, group, device)


@contextmanager
def a_space(kernel: RealKernel, number: int) -> Iterator[tuple[AddressSpaces, AddressSpace]]:
    """With the group in it, whatever is behind it."""
    spaces = kernel.address_spaces()
    spaces.open_group(number)
    try:
        space = spaces.join(number)
        yield spaces, space
        spaces.leave(number)
    finally:
        spaces.close_group(number)


@contextmanager
def had(kernel: RealKernel, number: int, address: PciAddress) -> Iterator[Device]:
    """The function, whatever it is opened by."""
    with a_space(kernel, number) as (spaces, _):
        device = spaces.open_device(number, address)
        try:
            yield device
        finally:
            spaces.close_device(device)


class ByIommufd:
    """A kernel whose address spaces are iommufd's. `of_a_part`: the errno of what is to unmap a part of a map."""

    of_a_part = errno.ENOENT

    def __init__(self, kernel: RealKernel, members: Mapping[int, Sequence[PciAddress]]) -> None:
        self._kernel, self._members = kernel, members

    def address_spaces(self) -> AddressSpaces:
        return self._kernel.iommufd(self._members, by_process=False)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kernel, name)


@contextmanager
def machine(kernel: RealKernel) -> Iterator[Vm]:
    with closing(kernel.open_kvm()) as kvm, closing(kvm.create_vm()) as vm:
        vm.set_tss_address(X86.layout.tss)
        vm.create_interrupt_controllers()
        yield vm


# ---- groups and containers ----


def a_group_is_open_once(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with closing(kernel.open_group(number)), refused(errno.EBUSY):
        kernel.open_group(number)
    kernel.open_group(number).close()


def a_container_without_a_group_has_no_iommu(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with closing(kernel.open_container()) as container, closing(kernel.take_memory(PAGE, PAGE, None)) as memory:
        assert container.api_version() == 0
        with refused(errno.EINVAL):
            container.set_iommu()
        with refused(errno.EINVAL):
            container.map_dma(0, memory, 0, PAGE)


def a_container_gets_its_iommu_once(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with joined(kernel, number) as (container, _), refused(errno.EINVAL):
        container.set_iommu()


def a_group_is_in_one_container(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with joined(kernel, number) as (_, group), closing(kernel.open_container()) as another:
        assert group.viable()
        with refused(errno.EINVAL):
            group.set_container(another)


def a_group_that_is_in_no_container_cannot_leave_one(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with closing(kernel.open_group(number)) as group, refused(errno.EINVAL):
        group.unset_container()


def a_device_is_had_when_there_is_an_iommu(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with closing(kernel.open_group(number)) as group, closing(kernel.open_container()) as container:
        with refused(errno.EINVAL):
            group.open_device(address)
        group.set_container(container)
        with refused(errno.EINVAL):
            group.open_device(address)
        container.set_iommu()
        group.open_device(address).close()
        group.unset_container()


def a_device_of_another_group_is_not_had(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with joined(kernel, number) as (_, group), refused(errno.ENODEV):
        group.open_device(PciAddress(0xFFFF, 0xFF, 0x1F, 7))


def a_group_with_an_open_device_stays(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with opened(kernel, number, address) as (_, group, _), refused(errno.EBUSY):
        group.unset_container()


def a_group_with_a_mapped_bar_stays_though_its_device_is_closed(
    kernel: RealKernel, number: int, address: PciAddress
) -> None:
    with joined(kernel, number) as (_, group):
        device = group.open_device(address)
        mapping = device.map(device.region(0).offset, PAGE)
        device.close()
        with refused(errno.EBUSY):
            group.unset_container()
        mapping.close()


def a_group_is_taken_out_when_its_last_device_goes(kernel: RealKernel, number: int, address: PciAddress) -> None:
    """With it goes the container's IOMMU, and all that was mapped."""
    spaces = kernel.address_spaces()
    spaces.open_group(number)
    space = spaces.join(number)
    with closing(kernel.take_memory(MIB, PAGE, None)) as memory:
        space.map_dma(MIB, memory, 0, MIB)
        kernel.drivers.unbind(address)
        space.unmap_dma(MIB, MIB)
    spaces.leave(number)
    spaces.close_group(number)
    kernel.drivers.probe(address)


# ---- address spaces, whatever is behind them ----


def a_group_is_opened_once_joins_and_leaves(kernel: RealKernel, number: int, address: PciAddress) -> None:
    spaces, others = kernel.address_spaces(), kernel.address_spaces()
    spaces.open_group(number)
    with refused(errno.EBUSY):
        others.open_group(number)
    assert spaces.viable(number)
    space = spaces.join(number)
    with closing(kernel.take_memory(MIB, PAGE, None)) as memory, closing(spaces.open_device(number, address)) as device:
        space.map_dma(MIB, memory, 0, MIB)
        assert device.address == address
        space.unmap_dma(MIB, MIB)
    spaces.leave(number)
    spaces.close_group(number)
    others.open_group(number)
    others.close_group(number)


def kvm_is_told_of_each_file_of_the_spaces(kernel: RealKernel, number: int, address: PciAddress) -> None:
    spaces = kernel.address_spaces()
    spaces.open_group(number)
    spaces.join(number)
    with machine(kernel) as vm, closing(vm.create_vfio()) as known:
        assert spaces.files()
        for file in spaces.files():
            known.add_file(file)
        for file in spaces.files():
            known.remove_file(file)
    spaces.leave(number)
    spaces.close_group(number)


# ---- DMA ----


def ranges_do_not_overlap(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with a_space(kernel, number) as (_, container), closing(kernel.take_memory(MIB, PAGE, None)) as memory:
        container.map_dma(MIB, memory, 0, 4 * PAGE)
        for iova, size in ((MIB, 4 * PAGE), (MIB, PAGE), (MIB + 3 * PAGE, 2 * PAGE), (MIB - PAGE, 2 * PAGE)):
            with refused(errno.EEXIST):
                container.map_dma(iova, memory, 0, size)
        container.map_dma(MIB + 4 * PAGE, memory, 0, PAGE)
        container.unmap_dma(MIB + 4 * PAGE, PAGE)
        container.unmap_dma(MIB, 4 * PAGE)


def messages_are_not_memory(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with a_space(kernel, number) as (_, container), closing(kernel.take_memory(4 * MIB, PAGE, None)) as memory:
        for iova, size in ((MSI_WINDOW, PAGE), (MSI_WINDOW - PAGE, 2 * PAGE), (MSI_WINDOW - MIB, 3 * MIB)):
            with refused(errno.EINVAL):
                container.map_dma(iova, memory, 0, size)
        assert not any(MSI_WINDOW in one for one in container.limits().ranges)


def the_iommu_has_a_width(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with a_space(kernel, number) as (_, container), closing(kernel.take_memory(MIB, PAGE, None)) as memory:
        end = container.limits().ranges[-1].end
        assert end < 1 << 64
        for iova, size in ((end, PAGE), (end - PAGE, 2 * PAGE)):
            with refused(errno.EINVAL):
                container.map_dma(iova, memory, 0, size)
        container.map_dma(end - PAGE, memory, 0, PAGE)
        container.unmap_dma(end - PAGE, PAGE)


def maps_are_of_whole_pages(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with a_space(kernel, number) as (_, container), closing(kernel.take_memory(MIB, PAGE, None)) as memory:
        assert container.limits().page_sizes & PAGE
        for iova, offset, size in ((MIB + 1, 0, PAGE), (MIB, 1, PAGE), (MIB, 0, PAGE - 1), (MIB, 0, 17)):
            with refused(errno.EINVAL):
                container.map_dma(iova, memory, offset, size)


def a_map_goes_as_a_whole(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with a_space(kernel, number) as (_, container), closing(kernel.take_memory(MIB, PAGE, None)) as memory:
        container.map_dma(MIB, memory, 0, 4 * PAGE)
        for iova, size in ((MIB, PAGE), (MIB + 2 * PAGE, 2 * PAGE)):
            with refused(getattr(kernel, "of_a_part", errno.EINVAL)):
                container.unmap_dma(iova, size)
        with refused(errno.ENOENT):
            container.unmap_dma(2 * MIB, PAGE)
        container.unmap_dma(MIB, 4 * PAGE)
        with refused(errno.ENOENT):
            container.unmap_dma(MIB, 4 * PAGE)


def each_map_is_one_less(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with a_space(kernel, number) as (_, container), closing(kernel.take_memory(MIB, PAGE, None)) as memory:
        before = container.limits().available
        assert before is not None
        container.map_dma(MIB, memory, 0, MIB)
        assert container.limits().available == before - 1
        container.unmap_dma(MIB, MIB)
        assert container.limits().available == before


# ---- regions ----


def configuration_space_is_read_as_far_as_it_goes(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with had(kernel, number, address) as device:
        whole = device.read_config(0, 4096)
        assert len(whole) in (256, 4096)
        assert whole[:4] == device.read_config(0, 4) not in (bytes(4), b"\xff" * 4)


def a_bar_answers_while_the_function_decodes_memory(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with had(kernel, number, address) as device:
        at = device.region(0).offset
        device.write_config(COMMAND, MEMORY_ENABLE.to_bytes(2, "little"))
        assert len(device.read(at, 4)) == 4
        device.write_config(COMMAND, bytes(2))
        with refused(errno.EIO):
            device.read(at, 4)
        with refused(errno.EIO):
            device.write(at, bytes(4))


def a_bar_is_mapped_by_pages_and_not_beyond_its_end(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with had(kernel, number, address) as device:
        bar = device.region(0)
        assert bar.mappable
        device.map(bar.offset, bar.size).close()
        for at, size in ((bar.offset, bar.size + PAGE), (bar.offset + bar.size, PAGE)):
            with refused(errno.EINVAL):
                device.map(at, size)


def what_is_no_region_has_no_size_and_keeps_the_others_in_place(
    kernel: RealKernel, number: int, address: PciAddress
) -> None:
    with had(kernel, number, address) as device:
        assert device.region(5).size == 0
        assert not device.region(5).mappable
        assert device.region(0).size >= PAGE


# ---- interrupts ----


def one_kind_of_interrupt_at_a_time(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with had(kernel, number, address) as device, closing(kernel.eventfd()) as event:
        device.set_irq_events("intx", 0, (event.fd,))
        with refused(errno.EINVAL):
            device.set_irq_events("msix", 0, (event.fd,))
        device.switch_off_irqs("intx")
        device.set_irq_events("msix", 0, (event.fd,))
        with refused(errno.EINVAL):
            device.set_irq_events("intx", 0, (event.fd,))
        device.switch_off_irqs("msix")


def what_is_not_on_cannot_be_switched_off(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with had(kernel, number, address) as device:
        for name in ("intx", "msix", "request"):
            with refused(errno.EINVAL):
                device.switch_off_irqs(name)


def a_line_that_is_not_on_has_no_mask(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with had(kernel, number, address) as device, closing(kernel.eventfd()) as event:
        for deed in (device.mask_intx, device.unmask_intx, lambda: device.unmask_intx_on(event.fd)):
            with refused(errno.EINVAL):
                deed()


def a_line_is_masked_tied_and_unmasked(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with ExitStack() as stack:
        device = stack.enter_context(had(kernel, number, address))
        trigger, resample = (stack.enter_context(closing(kernel.eventfd())) for _ in range(2))
        assert device.irq("intx").vectors == 1
        device.set_irq_events("intx", 0, (trigger.fd,))
        device.mask_intx()
        device.unmask_intx_on(resample.fd)
        device.unmask_intx()
        device.switch_off_irqs("intx")


def there_are_as_many_vectors_as_it_says(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with had(kernel, number, address) as device, closing(kernel.eventfd()) as event:
        count = device.irq("msix").vectors
        for start, many in ((0, count + 1), (count, 1)):
            with refused(errno.EINVAL):
                device.set_irq_events("msix", start, (event.fd,) * many)
        with refused(errno.EINVAL):
            device.set_irq_events("intx", 0, (event.fd,) * 2)


def vectors_that_do_not_grow_are_had_anew(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with ExitStack() as stack:
        device = stack.enter_context(had(kernel, number, address))
        events = [stack.enter_context(closing(kernel.eventfd())).fd for _ in range(3)]
        device.set_irq_events("msix", 0, events[:1])
        if device.irq("msix").resizable:
            device.set_irq_events("msix", 1, events[1:])
        else:
            with refused(errno.EINVAL):
                device.set_irq_events("msix", 1, events[1:])
            device.switch_off_irqs("msix")
            device.set_irq_events("msix", 0, events)
        device.switch_off_irqs("msix")


def the_host_can_ask_for_it_back(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with had(kernel, number, address) as device, closing(kernel.eventfd()) as event:
        assert device.irq("request").vectors == 1
        device.set_irq_events("request", 0, (event.fd,))
        assert not event.take()
        device.switch_off_irqs("request")


# ---- resets ----


def refuses(deed: Callable[[], None], code: int) -> bool:
    """True: with this errno. Any other is an error."""
    try:
        deed()
    except OSError as error:
        if error.errno != code:
            raise
        return True
    return False


def a_reset_of_its_bus_wants_the_owners_and_nobody_else(kernel: RealKernel, number: int, address: PciAddress) -> None:
    """Of a function that is alone on its bus."""
    with opened(kernel, number, address) as (_, group, device):
        assert device.hot_reset_set() == ((number, address),)
        for groups in ((), (group, group)):
            with refused(errno.EINVAL):
                device.hot_reset(groups)
        if not refuses(lambda: device.hot_reset((group,)), errno.ENOTTY):  # the bridge above cannot
            assert device.read_config(0, 4) not in (b"", b"\xff" * 4)


# ---- KVM ----


def kvm_knows_a_group_once(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with joined(kernel, number) as (_, group), machine(kernel) as vm, closing(vm.create_vfio()) as known:
        with refused(errno.EBUSY):
            vm.create_vfio()
        with refused(errno.ENOENT):
            known.remove_file(group)
        known.add_file(group)
        with refused(errno.EEXIST):
            known.add_file(group)
        known.remove_file(group)


def memslots_do_not_overlap(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with closing(kernel.take_memory(MIB, PAGE, None)) as memory, machine(kernel) as vm:
        vm.set_memory_region(0, 0, memory, 0, MIB)
        for guest in (0, MIB - PAGE):
            with refused(errno.EEXIST):
                vm.set_memory_region(1, guest, memory, 0, MIB)
        with refused(errno.EINVAL):
            vm.delete_memory_region(1)
        vm.delete_memory_region(0)


def an_eventfd_interrupts_one_gsi(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with machine(kernel) as vm, closing(kernel.eventfd()) as event:
        vm.set_gsi_routing([MsiRoute(GSI, MSI_WINDOW, 0x31)])
        vm.assign_irqfd(event, GSI)
        with refused(errno.EBUSY):
            vm.assign_irqfd(event, GSI + 1)
        vm.deassign_irqfd(event, GSI)
        vm.deassign_irqfd(event, GSI)


def a_route_beyond_the_table_refuses_the_whole(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with machine(kernel) as vm:
        for routes in ([MsiRoute(4096, MSI_WINDOW, 0)], [MsiRoute(GSI, MSI_WINDOW, 0)] * 4097):
            with refused(errno.EINVAL):
                vm.set_gsi_routing(routes)


# ---- drivers ----


def a_probe_that_binds_nothing_is_no_error(kernel: RealKernel, number: int, address: PciAddress) -> None:
    drivers = kernel.drivers
    before = drivers.override(address)
    drivers.set_override(address, "nobody")
    drivers.unbind(address)
    drivers.unbind(address)
    drivers.probe(address)
    assert drivers.driver(address) is None
    drivers.set_override(address, "vfio-pci")
    drivers.probe(address)
    assert drivers.driver(address) == "vfio-pci"
    drivers.set_override(address, before)
    assert drivers.override(address) == before


# Of address spaces and devices, whatever is behind them.
BY_BOTH: tuple[Rule, ...] = (
    kvm_is_told_of_each_file_of_the_spaces,
    ranges_do_not_overlap,
    messages_are_not_memory,
    the_iommu_has_a_width,
    maps_are_of_whole_pages,
    a_map_goes_as_a_whole,
    configuration_space_is_read_as_far_as_it_goes,
    a_bar_answers_while_the_function_decodes_memory,
    a_bar_is_mapped_by_pages_and_not_beyond_its_end,
    what_is_no_region_has_no_size_and_keeps_the_others_in_place,
    one_kind_of_interrupt_at_a_time,
    what_is_not_on_cannot_be_switched_off,
    a_line_that_is_not_on_has_no_mask,
    a_line_is_masked_tied_and_unmasked,
    there_are_as_many_vectors_as_it_says,
    vectors_that_do_not_grow_are_had_anew,
    the_host_can_ask_for_it_back,
)

RULES: tuple[Rule, ...] = (
    a_group_is_open_once,
    a_container_without_a_group_has_no_iommu,
    a_container_gets_its_iommu_once,
    a_group_is_in_one_container,
    a_group_that_is_in_no_container_cannot_leave_one,
    a_device_is_had_when_there_is_an_iommu,
    a_device_of_another_group_is_not_had,
    a_group_with_an_open_device_stays,
    a_group_with_a_mapped_bar_stays_though_its_device_is_closed,
    a_group_is_taken_out_when_its_last_device_goes,
    a_group_is_opened_once_joins_and_leaves,
    each_map_is_one_less,
    a_reset_of_its_bus_wants_the_owners_and_nobody_else,
    kvm_knows_a_group_once,
    memslots_do_not_overlap,
    an_eventfd_interrupts_one_gsi,
    a_route_beyond_the_table_refuses_the_whole,
    a_probe_that_binds_nothing_is_no_error,
    *BY_BOTH,
)


def a_group_that_the_host_uses_in_part_is_not_viable(kernel: RealKernel, number: int, address: PciAddress) -> None:
    """vfio-pci has `address`, a driver of the host another member: neither joins a container."""
    with closing(kernel.open_group(number)) as group, closing(kernel.open_container()) as container:
        assert not group.viable()
        with refused(errno.EPERM):
            group.set_container(container)
        with refused(errno.EINVAL):
            group.open_device(address)


def nobody_opens_a_group_without_a_vfio_driver(kernel: RealKernel, number: int) -> None:
    with refused(errno.ENOENT):
        kernel.open_group(number)
