"""VFIO's rules as the fake kernel keeps them, held against a real kernel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.executor.runner.leaving import leave_as_found
from launcher.kernel.real import RealKernel
from launcher.machine.capabilities import extended, word
from launcher.machine.function import PassedFunction
from launcher.machine.pci import CONFIG_SIZE
from launcher.machine.policy import Shape
from launcher.values import PciAddress
from tests import iommufd_rules, vfio_rules
from tests.lab.inside.passing import E1000E
from tests.vfio_rules import BY_BOTH, ByIommufd, Rule

DEVICES = Path("/sys/bus/pci/devices")
DRIVE = PciAddress.parse("0000:01:00.0")
VIRTIO_NIC = PciAddress.parse("0000:02:00.0")  # of the host `kinds`
COMMAND, MEMORY_AND_DMA = 4, b"\x06\x00"
CONFIGURATION, ENTRY_SIZES = 0x14, b"\x00\x00\x46\x00"  # CC, not enabled (NVM Express 1.4, 3.1.5)
CARD, ITS_NEIGHBOUR = PciAddress.parse("0000:00:0c.1"), PciAddress.parse("0000:00:0c.0")


NIC = PciAddress.parse(E1000E)
ERRORS, ERROR_CONTROL, CAPABLE, ENABLED = 0x0001, 0x18, 0x0A0, 0x140  # Advanced Error Reporting


def group_of(address: PciAddress) -> int:
    return int((DEVICES / str(address) / "iommu_group").resolve().name)


@contextmanager
def given_to_vfio(kernel: RealKernel, address: PciAddress) -> Iterator[int]:
    """Its group, and the driver that it had back in the end."""
    drivers = kernel.drivers
    before = drivers.driver(address), drivers.override(address)
    drivers.set_override(address, "vfio-pci")
    try:
        drivers.unbind(address)
        drivers.probe(address)
        assert drivers.driver(address) == "vfio-pci"
        yield group_of(address)
    finally:
        drivers.set_override(address, before[1])
        drivers.unbind(address)
        drivers.probe(address)
        assert (drivers.driver(address), drivers.override(address)) == before


@pytest.fixture(scope="module")
def kernel() -> RealKernel:
    return RealKernel()


@pytest.fixture(scope="module")
def group(kernel: RealKernel) -> Iterator[int]:
    with given_to_vfio(kernel, DRIVE) as number:
        yield number


@pytest.mark.host("zoo", "iommufd")
@pytest.mark.parametrize("rule", vfio_rules.RULES, ids=lambda rule: rule.__name__)
def test_the_kernel_keeps_the_rule_that(kernel: RealKernel, group: int, rule: Rule) -> None:
    rule(kernel, group, DRIVE)


@pytest.mark.host("iommufd", "compat")
@pytest.mark.parametrize("rule", iommufd_rules.RULES, ids=lambda rule: rule.__name__)
def test_iommufd_keeps_the_rule_that(kernel: RealKernel, group: int, rule: Rule) -> None:
    rule(kernel, group, DRIVE)


@pytest.mark.host("iommufd", "compat")
@pytest.mark.parametrize("rule", BY_BOTH, ids=lambda rule: rule.__name__)
def test_by_iommufd_too_the_kernel_keeps_the_rule_that(kernel: RealKernel, group: int, rule: Rule) -> None:
    rule(ByIommufd(kernel, {group: (DRIVE,)}), group, DRIVE)


@pytest.mark.host("iommufd")
def test_a_group_of_two_belongs_to_one_iommufd(kernel: RealKernel) -> None:
    assert kernel.drivers.driver(ITS_NEIGHBOUR) == "e1000"
    with given_to_vfio(kernel, CARD) as number:
        iommufd_rules.a_group_that_the_host_uses_in_part_is_not_bound(kernel, number, CARD)
        with given_to_vfio(kernel, ITS_NEIGHBOUR):
            iommufd_rules.two_functions_of_a_group_are_in_one_space(kernel, number, CARD, ITS_NEIGHBOUR)


@pytest.mark.host("iommufd")
def test_checksums_of_packets_that_a_guest_switched_on_go_with_its_life(kernel: RealKernel) -> None:
    """VFIO lets it (ECRC: PCI Express 5.0, 7.8.4.7), and a reset keeps them. e1000e has them."""
    with given_to_vfio(kernel, NIC) as number:
        spaces = kernel.iommufd({number: (NIC,)}, by_process=False)
        spaces.open_group(number)
        spaces.join(number)
        nic = spaces.open_device(number, NIC)
        found = nic.read_config(0, 4096)
        control = next(one.offset for one in extended(found) if one.id == ERRORS) + ERROR_CONTROL
        was = word(found, control, 4)
        assert was & (CAPABLE | ENABLED) == CAPABLE
        nic.write_config(control, (was | ENABLED).to_bytes(4, "little"))
        spaces.open_device(number, NIC)  # again, which resets it
        assert word(nic.read_config(control, 4), 0, 4) == was | ENABLED
        leave_as_found(nic, found)
        assert word(nic.read_config(control, 4), 0, 4) == was
        spaces.leave(number)
        spaces.close_group(number)


@pytest.mark.host("zoo")
def test_a_drive_is_reset_whenever_it_is_opened_or_closed(kernel: RealKernel, group: int) -> None:
    """Nobody asks for it. What the register keeps while the drive is open shows that it does keep it."""
    for _ in range(2):
        with vfio_rules.opened(kernel, group, DRIVE) as (_, _, drive):
            assert drive.resets_itself()
            drive.write_config(COMMAND, MEMORY_AND_DMA)
            register = drive.region(0).offset + CONFIGURATION
            assert drive.read(register, 4) == bytes(4)
            drive.write(register, ENTRY_SIZES)
            assert drive.read(register, 4) == ENTRY_SIZES


@pytest.mark.host("kinds")
def test_a_device_says_whether_the_host_lets_it_cache_translations(kernel: RealKernel) -> None:
    for address, caches in ((VIRTIO_NIC, True), (DRIVE, False)):
        with (
            given_to_vfio(kernel, address) as number,
            vfio_rules.opened(kernel, number, address) as (_, _, device),
        ):
            shape = Shape(device.read_config(0, CONFIG_SIZE), (), 0, multifunction=False, intx=False)
            assert PassedFunction(shape).caches_translations is caches


@pytest.mark.host("zoo")
def test_a_group_that_the_host_uses_in_part_is_not_viable(kernel: RealKernel) -> None:
    assert kernel.drivers.driver(ITS_NEIGHBOUR) == "e1000"
    with given_to_vfio(kernel, CARD) as number:
        vfio_rules.a_group_that_the_host_uses_in_part_is_not_viable(kernel, number, CARD)


@pytest.mark.host("zoo")
def test_nobody_opens_a_group_without_a_vfio_driver(kernel: RealKernel) -> None:
    vfio_rules.nobody_opens_a_group_without_a_vfio_driver(kernel, group_of(ITS_NEIGHBOUR))
