"""iommufd's rules as stories: a kernel, an IOMMU group and a function of it that vfio-pci has, alone, in.

They hold for the fake kernel and for a real one, as those of tests/vfio_rules.py, of which iommufd keeps BY_BOTH.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress

from launcher.kernel.iommufd import Cdev, Ioas, IommuFile
from launcher.kernel.real import RealKernel
from launcher.kernel.vfio import BarMapping
from launcher.values import MIB, PciAddress
from tests.vfio_rules import MSI_WINDOW, PAGE, Rule, machine, refused, refuses

COMMAND, OFF, MEMORY = 4, b"\x00\x00", b"\x02\x00"


@contextmanager
def opened(kernel: RealKernel, address: PciAddress) -> Iterator[tuple[IommuFile, Cdev]]:
    with closing(kernel.open_iommufd()) as iommufd, closing(kernel.open_cdev(address)) as cdev:
        yield iommufd, cdev


@contextmanager
def bound(kernel: RealKernel, address: PciAddress) -> Iterator[tuple[IommuFile, Cdev]]:
    with opened(kernel, address) as (iommufd, cdev):
        cdev.bind(iommufd)
        yield iommufd, cdev


@contextmanager
def attached(kernel: RealKernel, address: PciAddress) -> Iterator[tuple[Ioas, Cdev]]:
    with bound(kernel, address) as (iommufd, cdev):
        space = iommufd.allocate()
        cdev.attach(space)
        yield space, cdev
        cdev.detach()
        space.destroy()


# ---- binding ----


def nothing_answers_before_it_is_bound(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with opened(kernel, address) as (iommufd, cdev):
        assert cdev.region(7).size == 0
        space = iommufd.allocate()
        for deed in (cdev.resets_itself, cdev.reset, cdev.bus, cdev.detach, lambda: cdev.attach(space)):
            with refused(errno.EINVAL):
                deed()
        space.destroy()
        cdev.bind(iommufd)
        assert cdev.read_config(0, 4) not in (b"", b"\xff" * 4)


def a_function_is_opened_twice_and_bound_once(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with bound(kernel, address) as (iommufd, cdev), closing(kernel.open_cdev(address)) as another:
        for one in (cdev, another):
            with refused(errno.EINVAL):
                one.bind(iommufd)


def who_has_the_group_keeps_out_who_would_bind(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with opened(kernel, address) as (iommufd, cdev), closing(kernel.open_group(number)), refused(errno.EBUSY):
        cdev.bind(iommufd)
    with bound(kernel, address), refused(errno.EBUSY):
        kernel.open_group(number)
    kernel.open_group(number).close()


def a_mapped_bar_holds_the_function_though_its_node_is_closed(
    kernel: RealKernel, number: int, address: PciAddress
) -> None:
    with closing(kernel.open_iommufd()) as iommufd:
        cdev = kernel.open_cdev(address)
        cdev.bind(iommufd)
        mapping = cdev.map(cdev.region(0).offset, PAGE)
        cdev.close()
        with refused(errno.EBUSY):
            kernel.open_group(number)
        mapping.close()
        kernel.open_group(number).close()


def kvm_holds_the_function_though_its_node_is_closed(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with closing(kernel.open_iommufd()) as iommufd, machine(kernel) as vm:
        known, cdev = vm.create_vfio(), kernel.open_cdev(address)
        cdev.bind(iommufd)
        known.add_file(cdev)
        with refused(errno.EEXIST):
            known.add_file(cdev)
        cdev.close()
        with refused(errno.EBUSY):
            kernel.open_group(number)
        known.close()
        kernel.open_group(number).close()


# ---- address spaces ----


def it_is_attached_to_one_space_and_detached_as_often_as_one_likes(
    kernel: RealKernel, number: int, address: PciAddress
) -> None:
    with bound(kernel, address) as (iommufd, cdev):
        cdev.detach()
        space = iommufd.allocate()
        cdev.attach(space)
        cdev.attach(space)
        with refused(errno.EBUSY):
            space.destroy()
        cdev.detach()
        cdev.detach()
        space.destroy()
        with refused(errno.ENOENT):
            space.destroy()


def what_is_mapped_before_is_looked_at_when_it_is_attached(
    kernel: RealKernel, number: int, address: PciAddress
) -> None:
    with bound(kernel, address) as (iommufd, cdev), closing(kernel.take_memory(4 * MIB, PAGE, None)) as memory:
        space = iommufd.allocate()
        space.map_dma(MSI_WINDOW - MIB, memory, 0, 4 * MIB)
        with refused(errno.EADDRINUSE):
            cdev.attach(space)
        space.unmap_dma(MSI_WINDOW - MIB, 4 * MIB)
        cdev.attach(space)
        with refused(errno.EINVAL):
            space.map_dma(MSI_WINDOW - MIB, memory, 0, 4 * MIB)
        cdev.detach()
        space.destroy()


def bars_are_no_memory_for_others(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with attached(kernel, address) as (space, cdev), closing(cdev.map(cdev.region(0).offset, PAGE)) as mapping:
        with refused(errno.EFAULT):
            space.map_dma(MIB, mapping, 0, PAGE)
        with refused(errno.EOPNOTSUPP):  # it is not shared
            space.map_bar(MIB, mapping)


@contextmanager
def shared(kernel: RealKernel, address: PciAddress) -> Iterator[tuple[Ioas, Cdev, BarMapping]]:
    """A page of its first BAR, as far as the kernel gives a dma-buf of it."""
    with attached(kernel, address) as (space, cdev), closing(cdev.map(cdev.region(0).offset, PAGE)) as mapping:
        cdev.share(mapping, 0, 0)
        assert (mapping.dma_buf is not None) is cdev.shares_bars()
        yield space, cdev, mapping
        cdev.write_config(COMMAND, OFF)


def a_bar_is_mapped_for_others_while_its_memory_is_on(kernel: RealKernel, number: int, address: PciAddress) -> None:
    """Where the kernel gives a dma-buf of it, which serves as often as one likes."""
    with shared(kernel, address) as (space, cdev, mapping):
        if not cdev.shares_bars():
            with refused(errno.EOPNOTSUPP):
                space.map_bar(MIB, mapping)
            return
        cdev.write_config(COMMAND, OFF)
        with refused(errno.ENODEV):
            space.map_bar(MIB, mapping)
        for before in (lambda: None, cdev.reset):
            before()
            cdev.write_config(COMMAND, MEMORY)
            space.map_bar(MIB, mapping)
            with refused(errno.EEXIST):
                space.map_bar(MIB, mapping)
            with refused(errno.EINVAL):
                space.map_bar(MSI_WINDOW, mapping)
            space.unmap_dma(MIB, PAGE)


def what_is_switched_off_while_others_reach_it_is_still_to_be_unmapped(
    kernel: RealKernel, number: int, address: PciAddress
) -> None:
    with shared(kernel, address) as (space, cdev, mapping):
        if cdev.shares_bars():
            cdev.write_config(COMMAND, MEMORY)
            space.map_bar(MIB, mapping)
            cdev.write_config(COMMAND, OFF)
            cdev.write_config(COMMAND, MEMORY)
            with refused(errno.EEXIST):
                space.map_bar(MIB, mapping)
            space.unmap_dma(MIB, PAGE)
            space.map_bar(MIB, mapping)
            space.unmap_dma(MIB, PAGE)


def what_is_locked_is_counted_by_process_from_the_start_or_never(
    kernel: RealKernel, number: int, address: PciAddress
) -> None:
    with closing(kernel.open_iommufd()) as iommufd:
        iommufd.count_by_process()
    with closing(kernel.open_iommufd()) as iommufd:
        space = iommufd.allocate()
        with refused(errno.EBUSY):
            iommufd.count_by_process()
        space.destroy()


# ---- resets ----


def a_function_that_resets_itself_is_reset_when_asked(kernel: RealKernel, number: int, address: PciAddress) -> None:
    with bound(kernel, address) as (_, cdev):
        assert cdev.resets_itself()
        cdev.reset()
        assert cdev.read_config(0, 4) not in (b"", b"\xff" * 4)


def a_reset_of_its_bus_wants_no_files(kernel: RealKernel, number: int, address: PciAddress) -> None:
    """Of a function that is alone on its bus."""
    with bound(kernel, address) as (_, cdev):
        assert cdev.bus() == (frozenset((address,)), True)
        with refused(errno.EINVAL):
            cdev.hot_reset((cdev,))
        if not refuses(lambda: cdev.hot_reset(()), errno.ENOTTY):  # the bridge above cannot
            assert cdev.read_config(0, 4) not in (b"", b"\xff" * 4)


# ---- all of it ----


def spaces_are_had_twice_and_joined_once(kernel: RealKernel, number: int, address: PciAddress) -> None:
    spaces, others = (kernel.iommufd({number: (address,)}, by_process=False) for _ in range(2))
    with ExitStack() as stack:
        for one in (spaces, others):
            one.open_group(number)
            stack.callback(one.close_group, number)
        space = spaces.join(number)
        with refused(errno.EINVAL):
            others.join(number)
        assert spaces.open_device(number, address).address == address
        with closing(kernel.take_memory(MIB, PAGE, None)) as memory:
            space.map_dma(MIB, memory, 0, MIB)
            space.unmap_dma(MIB, MIB)
        spaces.leave(number)


def a_function_that_is_had_again_is_as_new(kernel: RealKernel, number: int, address: PciAddress) -> None:
    spaces = kernel.iommufd({number: (address,)}, by_process=False)
    spaces.open_group(number)
    spaces.join(number)
    first = spaces.open_device(number, address)
    first.write_config(4, b"\x06\x00")
    spaces.close_device(first)
    again = spaces.open_device(number, address)
    assert again.read_config(0, 4) not in (b"", b"\xff" * 4)
    with suppress(OSError):  # of a function without that
        again.bus()
    spaces.close_device(again)
    spaces.leave(number)
    spaces.close_group(number)


RULES: tuple[Rule, ...] = (
    nothing_answers_before_it_is_bound,
    a_function_is_opened_twice_and_bound_once,
    who_has_the_group_keeps_out_who_would_bind,
    a_mapped_bar_holds_the_function_though_its_node_is_closed,
    kvm_holds_the_function_though_its_node_is_closed,
    it_is_attached_to_one_space_and_detached_as_often_as_one_likes,
    what_is_mapped_before_is_looked_at_when_it_is_attached,
    bars_are_no_memory_for_others,
    a_bar_is_mapped_for_others_while_its_memory_is_on,
    what_is_switched_off_while_others_reach_it_is_still_to_be_unmapped,
    what_is_locked_is_counted_by_process_from_the_start_or_never,
    a_function_that_resets_itself_is_reset_when_asked,
    a_reset_of_its_bus_wants_no_files,
    spaces_are_had_twice_and_joined_once,
    a_function_that_is_had_again_is_as_new,
)


def a_group_that_the_host_uses_in_part_is_not_bound(kernel: RealKernel, number: int, address: PciAddress) -> None:
    """vfio-pci has `address`, a driver of the host another member."""
    with opened(kernel, address) as (iommufd, cdev), refused(errno.EPERM):
        cdev.bind(iommufd)


def two_functions_of_a_group_are_in_one_space(
    kernel: RealKernel, number: int, address: PciAddress, other: PciAddress
) -> None:
    """And in one iommufd."""
    with bound(kernel, address) as (iommufd, cdev), closing(kernel.open_cdev(other)) as second:
        with closing(kernel.open_iommufd()) as another, refused(errno.EPERM):
            second.bind(another)
        second.bind(iommufd)
        space, apart = iommufd.allocate(), iommufd.allocate()
        cdev.attach(space)
        with refused(errno.EINVAL):
            second.attach(apart)
        second.attach(space)
        for one in (second, cdev):
            one.detach()
        for one in (apart, space):
            one.destroy()
