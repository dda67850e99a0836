"""Address spaces by either of the kernel's two ways: who shares one, what a refusal leaves, whose bus is reset."""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from launcher.kernel.api import AddressSpaces
from launcher.values import KIB, MIB, PciAddress
from tests.fakes.host import FakeHost, nvme
from tests.fakes.kernel import FakeKernel
from tests.vfio_rules import refused

FIRST, SECOND, THIRD = (PciAddress.parse(f"0000:0{n}:00.0") for n in (1, 2, 3))
ADDRESSES = {1: (FIRST,), 2: (SECOND,), 3: (THIRD,)}


class Way(NamedTuple):
    """`leave`: the first call of its teardown."""

    spaces: Callable[[FakeKernel], AddressSpaces]
    leave: str


WAYS = {
    "type1": Way(FakeKernel.address_spaces, "VFIO_GROUP_UNSET_CONTAINER"),
    "iommufd": Way(lambda kernel: kernel.iommufd(ADDRESSES, by_process=True), "VFIO_DEVICE_DETACH_IOMMUFD_PT"),
}


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    found: Way = request.param
    return found


def a_kernel(apart: tuple[int, ...] = (), **more: object) -> FakeKernel:
    """FIRST and SECOND are on one bus."""
    both = (FIRST, SECOND)
    functions = [nvme(str(one), n, together=both if one in both else ()) for n, (one,) in ADDRESSES.items()]
    return FakeKernel(host=FakeHost(functions, apart=apart), **more)


def live(spaces: AddressSpaces) -> list[object]:
    """Three groups opened, joined, left and closed: the spaces that they were in."""
    joined = []
    with ExitStack() as undo:
        for group in ADDRESSES:
            spaces.open_group(group)
            undo.callback(spaces.close_group, group)
        for group in ADDRESSES:
            joined.append(spaces.join(group))
            undo.callback(spaces.leave, group)
    return joined


def test_groups_that_fit_share_a_space(way: Way) -> None:
    kernel = a_kernel()
    first, second, third = live(way.spaces(kernel))
    assert first is second is third
    assert kernel.left() == []


def test_a_group_that_does_not_fit_has_a_space_of_its_own_and_the_next_fits_the_first(way: Way) -> None:
    kernel = a_kernel(apart=(2,))
    first, second, third = live(way.spaces(kernel))
    assert first is third is not second
    assert kernel.left() == []


def test_whatever_is_refused_before_they_have_joined_nothing_is_left(way: Way) -> None:
    whole = a_kernel(apart=(2,))
    live(way.spaces(whole))
    for call in range(1, whole.calls.index(way.leave) + 1):
        kernel = a_kernel(apart=(2,), fail_at=call, error=errno.EPERM)
        with pytest.raises(PermissionError):
            live(way.spaces(kernel))
        assert kernel.left() == [], whole.calls[call - 1]


def test_a_bus_is_reset_when_all_on_it_are_ours(way: Way) -> None:
    spaces = way.spaces(a_kernel())
    for opened, found in (((1, 3), set()), ((2,), {FIRST, SECOND})):
        for group in opened:
            spaces.open_group(group)
            spaces.join(group)
        device, alone = spaces.open_device(1, FIRST), spaces.open_device(3, THIRD)
        assert spaces.reset_bus(device) == found
        with refused(errno.ENODEV):
            spaces.reset_bus(alone)
        for one in (alone, device):
            spaces.close_device(one)


def test_a_function_of_another_group_is_not_opened(way: Way) -> None:
    spaces = way.spaces(a_kernel())
    spaces.open_group(1)
    space = spaces.join(1)
    assert space.limits().page_sizes & 4 * KIB
    assert MIB in space.limits().ranges[0]
    with refused(errno.ENODEV):
        spaces.open_device(1, THIRD)
