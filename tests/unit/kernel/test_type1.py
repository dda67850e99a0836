"""Type1's address spaces: who shares a container, what is left when the kernel refuses, whose bus is reset."""

from __future__ import annotations

import errno
from contextlib import closing

import pytest

from launcher.values import KIB, MIB, PciAddress
from tests.fakes.host import FakeHost, nvme
from tests.fakes.kernel import FakeKernel
from tests.vfio_rules import refused

FIRST, SECOND, THIRD = (PciAddress.parse(f"0000:0{n}:00.0") for n in (1, 2, 3))
ADDRESSES = {1: FIRST, 2: SECOND, 3: THIRD}


def a_kernel(apart: tuple[int, ...] = (), **more: object) -> FakeKernel:
    """FIRST and SECOND are on one bus."""
    both = (FIRST, SECOND)
    functions = [nvme(str(one), n, together=both if one in both else ()) for n, one in ADDRESSES.items()]
    return FakeKernel(host=FakeHost(functions, apart=apart), **more)


def live(kernel: FakeKernel) -> list[object]:
    """Three groups opened, joined, left and closed: the spaces that they were in."""
    spaces, joined = kernel.address_spaces(), []
    try:
        for group in ADDRESSES:
            spaces.open_group(group)
        for group in ADDRESSES:
            joined.append(spaces.join(group))
    finally:
        for group in (3, 2, 1)[3 - len(joined) :]:
            spaces.leave(group)
        for group in sorted((file.number for file in spaces.files()), reverse=True):
            spaces.close_group(group)
    return joined


def test_groups_that_fit_share_a_space() -> None:
    kernel = a_kernel()
    first, second, third = live(kernel)
    assert first is second is third
    assert kernel.left() == []


def test_a_group_that_does_not_fit_has_a_space_of_its_own_and_the_next_fits_the_first() -> None:
    kernel = a_kernel(apart=(2,))
    first, second, third = live(kernel)
    assert first is third is not second
    assert kernel.left() == []


def test_whatever_is_refused_before_they_have_joined_nothing_is_left() -> None:
    whole = a_kernel(apart=(2,))
    live(whole)
    joins = whole.calls.index("VFIO_GROUP_UNSET_CONTAINER")
    for call in range(1, joins + 1):
        kernel = a_kernel(apart=(2,), fail_at=call, error=errno.EPERM)
        with pytest.raises(PermissionError):
            live(kernel)
        assert kernel.left() == [], whole.calls[call - 1]


def test_a_group_that_cannot_leave_does_not_keep_its_container_open() -> None:
    kernel = a_kernel()
    spaces = kernel.address_spaces()
    spaces.open_group(1)
    spaces.join(1)
    kernel.fail_at = len(kernel.calls) + 1
    with refused(errno.EIO):
        spaces.leave(1)
    spaces.close_group(1)
    assert kernel.open == []


def test_a_bus_is_reset_when_the_groups_of_all_on_it_are_open() -> None:
    kernel = a_kernel()
    spaces = kernel.address_spaces()
    for opened, found in (((1, 3), set()), ((2,), {FIRST, SECOND})):
        for group in opened:
            spaces.open_group(group)
            spaces.join(group)
        with closing(spaces.open_device(1, FIRST)) as device, closing(spaces.open_device(3, THIRD)) as alone:
            assert spaces.reset_bus(device) == found
            with refused(errno.ENODEV):
                spaces.reset_bus(alone)


def test_a_function_of_another_group_is_not_opened() -> None:
    spaces = a_kernel().address_spaces()
    spaces.open_group(1)
    space = spaces.join(1)
    assert space.limits().page_sizes & 4 * KIB
    with refused(errno.ENODEV):
        spaces.open_device(1, THIRD)
    assert MIB in space.limits().ranges[0]
