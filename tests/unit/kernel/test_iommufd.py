"""iommufd's address spaces: its rules on the fake kernel; who shares one, what is left when the kernel refuses."""

from __future__ import annotations

import errno

import pytest

from launcher.values import PciAddress
from tests import iommufd_rules
from tests.fakes.host import FakeHost, nvme
from tests.fakes.kernel import FakeKernel
from tests.vfio_rules import BY_BOTH, ByIommufd, Rule, refused

FIRST, SECOND, THIRD = (PciAddress.parse(f"0000:0{n}:00.0") for n in (1, 2, 3))
ADDRESSES = {1: (FIRST,), 2: (SECOND,), 3: (THIRD,)}


def alone() -> FakeKernel:
    return FakeKernel(host=FakeHost([nvme(str(FIRST), 7, together=(FIRST,))]))


def a_kernel(apart: tuple[int, ...] = (), **more: object) -> FakeKernel:
    """FIRST and SECOND are on one bus."""
    both = (FIRST, SECOND)
    functions = [nvme(str(one), n, together=both if one in both else ()) for n, (one,) in ADDRESSES.items()]
    return FakeKernel(host=FakeHost(functions, apart=apart), **more)


@pytest.mark.parametrize("rule", iommufd_rules.RULES, ids=lambda rule: rule.__name__)
def test_the_fake_keeps_the_rule_that(rule: Rule) -> None:
    kernel = alone()
    rule(kernel, 7, FIRST)
    assert [one for one in kernel.left() if "closed before" not in one] == []


@pytest.mark.parametrize("rule", BY_BOTH, ids=lambda rule: rule.__name__)
def test_by_iommufd_too_the_fake_keeps_the_rule_that(rule: Rule) -> None:
    kernel = alone()
    rule(ByIommufd(kernel, {7: (FIRST,)}), 7, FIRST)
    assert kernel.left() == []


def test_all_rules_are_in_the_list() -> None:
    stories = [
        value
        for name, value in vars(iommufd_rules).items()
        if getattr(value, "__annotations__", {}).keys() >= {"kernel", "number", "address"}
    ]
    apart = {
        iommufd_rules.a_group_that_the_host_uses_in_part_is_not_bound,
        iommufd_rules.two_functions_of_a_group_are_in_one_space,
    }
    assert set(stories) - apart == set(iommufd_rules.RULES)


def test_groups_of_two_as_the_kernel_has_them() -> None:
    functions = [nvme("0000:03:00.0", 9), nvme("0000:03:00.1", 9, driver="nvme")]
    kernel = FakeKernel(host=FakeHost(functions))
    iommufd_rules.a_group_that_the_host_uses_in_part_is_not_bound(kernel, 9, functions[0].address)
    functions[1].driver = "vfio-pci"
    iommufd_rules.two_functions_of_a_group_are_in_one_space(kernel, 9, *(one.address for one in functions))
    assert [one for one in kernel.left() if "closed before" not in one] == []


def live(kernel: FakeKernel, *, by_process: bool = True) -> list[object]:
    """Three groups opened, joined, left and closed: the spaces that they were in."""
    spaces, joined, opened = kernel.iommufd(ADDRESSES, by_process=by_process), [], []
    try:
        for group in ADDRESSES:
            spaces.open_group(group)
            opened.append(group)
        for group in ADDRESSES:
            joined.append(spaces.join(group))
    finally:
        for group in list(reversed(opened))[len(opened) - len(joined) :]:
            spaces.leave(group)
        for group in reversed(opened):
            spaces.close_group(group)
    return joined


def test_groups_that_fit_share_a_space_and_what_does_not_has_its_own() -> None:
    kernel = a_kernel()
    first, second, third = live(kernel)
    assert first is second is third
    assert kernel.left() == []
    kernel = a_kernel(apart=(2,))
    first, second, third = live(kernel)
    assert first is third is not second
    assert kernel.left() == []


def test_whatever_is_refused_before_they_have_joined_nothing_is_left() -> None:
    whole = a_kernel(apart=(2,))
    live(whole)
    joins = whole.calls.index("VFIO_DEVICE_DETACH_IOMMUFD_PT")
    for call in range(1, joins + 1):
        kernel = a_kernel(apart=(2,), fail_at=call, error=errno.EPERM)
        with pytest.raises(PermissionError):
            live(kernel)
        assert kernel.left() == [], whole.calls[call - 1]


def test_what_is_locked_counts_as_the_plan_says() -> None:
    kernel = a_kernel()
    live(kernel, by_process=False)
    assert "IOMMU_OPTION" not in kernel.calls
    kernel.host.may_exceed = False
    with refused(errno.EPERM):
        live(kernel)
    assert kernel.left() == []


def test_a_bus_is_reset_when_all_on_it_are_ours() -> None:
    kernel = a_kernel()
    spaces = kernel.iommufd(ADDRESSES, by_process=False)
    for opened, found in (((1, 3), set()), ((2,), {FIRST, SECOND})):
        for group in opened:
            spaces.open_group(group)
            spaces.join(group)
        assert spaces.reset_bus(spaces.open_device(1, FIRST)) == found
        with refused(errno.ENODEV):
            spaces.reset_bus(spaces.open_device(3, THIRD))
    with refused(errno.ENODEV):
        spaces.open_device(1, THIRD)
