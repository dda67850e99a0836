"""The fake kernel keeps VFIO's rules; tests/lab/inside/test_vfio_rules.py holds them against a real one."""

from __future__ import annotations

import errno
from contextlib import closing

import pytest

from launcher.kernel.api import FewVectors
from launcher.values import KIB, PciAddress, Span
from tests import vfio_rules
from tests.fakes.host import FakeHost, dual_card, nvme
from tests.fakes.kernel import FakeKernel
from tests.vfio_rules import Rule, joined, opened, refused

DRIVE = PciAddress.parse("0000:01:00.0")
PAGE = 4 * KIB


def a_kernel(**more: object) -> FakeKernel:
    return FakeKernel(host=FakeHost([nvme(str(DRIVE), 7, together=(DRIVE,))], **more))


@pytest.mark.parametrize("rule", vfio_rules.RULES, ids=lambda rule: rule.__name__)
def test_the_fake_keeps_the_rule_that(rule: Rule) -> None:
    kernel = a_kernel()
    rule(kernel, 7, DRIVE)
    assert [one for one in kernel.left() if one != "FakeDevice closed before FakeBarMapping"] == []


def test_all_rules_are_in_the_list() -> None:
    stories = [
        value
        for name, value in vars(vfio_rules).items()
        if getattr(value, "__annotations__", {}).keys() >= {"kernel", "number", "address"}
    ]
    alone = {vfio_rules.a_group_that_the_host_uses_in_part_is_not_viable, vfio_rules.opened, vfio_rules.had}
    assert set(stories) - alone == set(vfio_rules.RULES)


def test_a_group_that_the_host_uses_in_part_is_not_viable() -> None:
    functions = [nvme("0000:03:00.0", 9), nvme("0000:03:00.1", 9, driver="nvme")]
    kernel = FakeKernel(host=FakeHost(functions))
    vfio_rules.a_group_that_the_host_uses_in_part_is_not_viable(kernel, 9, functions[0].address)
    for driver in (None, "pci-stub", "pcieport"):
        functions[1].driver = driver
        with opened(kernel, 9, functions[0].address) as (_, group, _):
            assert group.viable()
    assert kernel.left() == []


@pytest.mark.parametrize("driver", [None, "nvme"])
def test_nobody_opens_a_group_without_a_vfio_driver(driver: str | None) -> None:
    host = FakeHost([nvme(str(DRIVE), 7, driver=driver)])
    vfio_rules.nobody_opens_a_group_without_a_vfio_driver(FakeKernel(host=host), 7)


def test_groups_that_do_not_fit_have_containers_of_their_own() -> None:
    functions = [nvme("0000:01:00.0", 1), nvme("0000:02:00.0", 2)]
    kernel = FakeKernel(host=FakeHost(functions, apart=(2,)))
    with joined(kernel, 1) as (container, _), closing(kernel.open_group(2)) as second, refused(errno.EINVAL):
        second.set_container(container)


def test_without_interrupt_remapping_there_is_no_iommu() -> None:
    kernel = a_kernel(safe=False)
    with closing(kernel.open_group(7)) as group, closing(kernel.open_container()) as container:
        group.set_container(container)
        with refused(errno.EPERM):
            container.set_iommu()
        group.unset_container()


@pytest.mark.parametrize(("limit", "error"), [({"most_maps": 1}, errno.ENOSPC), ({"lockable": PAGE}, errno.ENOMEM)])
def test_maps_and_locked_memory_have_a_limit(limit: dict[str, int], error: int) -> None:
    kernel = a_kernel(**limit)
    with joined(kernel, 7) as (container, _), closing(kernel.take_memory(2 * PAGE, PAGE, None)) as memory:
        container.map_dma(0, memory, 0, PAGE)
        with refused(error):
            container.map_dma(PAGE, memory, 0, PAGE)
        container.unmap_dma(0, PAGE)


def test_a_host_short_of_vectors_says_how_many_it_has() -> None:
    kernel = a_kernel(vectors=2)
    with opened(kernel, 7, DRIVE) as (_, _, device), closing(kernel.eventfd()) as event:
        with pytest.raises(FewVectors) as raised:
            device.set_irq_events("msix", 0, (event.fd,) * 3)
        assert (raised.value.errno, raised.value.available) == (errno.ENOSPC, 2)
        kernel.host.vectors = 0
        with refused(errno.ENOSPC):
            device.set_irq_events("msix", 0, (event.fd,))


def test_a_bar_with_holes_is_mapped_round_them() -> None:
    kernel = FakeKernel(host=FakeHost([dual_card("0000:02:00.0", 3)]))
    with opened(kernel, 3, PciAddress.parse("0000:02:00.0")) as (_, _, device):
        bar = device.region(2)
        assert bar.sparse == (Span(0, PAGE), Span(2 * PAGE, 2 * PAGE))
        for part in bar.sparse:
            device.map(bar.offset + part.start, part.size).close()
        with refused(errno.EINVAL):
            device.map(bar.offset, bar.size)


def test_vfio_waits_for_its_users_before_it_lets_go() -> None:
    kernel = a_kernel()
    with opened(kernel, 7, DRIVE), refused(errno.ETIMEDOUT):
        kernel.drivers.unbind(DRIVE)
    kernel.drivers.unbind(DRIVE)
    assert kernel.drivers.driver(DRIVE) is None


def test_whatever_is_closed_out_of_order_is_seen() -> None:
    kernel = a_kernel()
    group, container = kernel.open_group(7), kernel.open_container()
    group.set_container(container)
    group.close()
    assert "FakeGroup closed before FakeContainer" in kernel.left()
    assert "group 7 closed in its container" in kernel.left()


def test_what_a_careless_program_leaves_is_seen() -> None:
    kernel = a_kernel()
    event = kernel.eventfd()
    with opened(kernel, 7, DRIVE) as (container, _, device), closing(kernel.take_memory(PAGE, PAGE, None)) as memory:
        container.map_dma(0, memory, 0, PAGE)
        device.set_irq_events("msix", 0, (event.fd,))
        event.close()
    assert len(kernel.untidy) == 4, kernel.untidy
