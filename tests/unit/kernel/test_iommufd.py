"""iommufd's address spaces: its rules on the fake kernel, and what type1's have not (test_spaces.py has the rest)."""

from __future__ import annotations

import errno

import pytest

from launcher.values import PciAddress
from tests import iommufd_rules
from tests.fakes.host import FakeHost, nvme
from tests.fakes.kernel import FakeKernel
from tests.vfio_rules import BY_BOTH, ByIommufd, Rule, refused

FIRST = PciAddress.parse("0000:01:00.0")


def alone(**more: bool) -> FakeKernel:
    return FakeKernel(host=FakeHost([nvme(str(FIRST), 7, together=(FIRST,))], **more))


@pytest.mark.parametrize("dma_bufs", [False, True])
@pytest.mark.parametrize("rule", iommufd_rules.RULES, ids=lambda rule: rule.__name__)
def test_the_fake_keeps_the_rule_that(rule: Rule, dma_bufs: bool) -> None:
    kernel = alone(dma_bufs=dma_bufs)
    rule(kernel, 7, FIRST)
    careless = {one for one in kernel.left() if "closed before" not in one}
    assert all("while it is mapped for others" in one for one in careless)
    assert bool(careless) is (dma_bufs and rule.__name__.startswith("what_is_switched_off"))


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


def test_what_is_locked_counts_as_the_plan_says() -> None:
    kernel = alone()
    for by_process in (False, True):
        spaces = kernel.iommufd({7: (FIRST,)}, by_process=by_process)
        spaces.open_group(7)
        spaces.close_group(7)
        assert ("IOMMU_OPTION" in kernel.calls) is by_process
    kernel.host.may_exceed = False
    with refused(errno.EPERM):
        kernel.iommufd({7: (FIRST,)}, by_process=True).open_group(7)
    assert kernel.left() == []
