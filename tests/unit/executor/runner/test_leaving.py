"""The registers of a function that stays open between two lives of a guest: what the first wrote, the second misses."""

from __future__ import annotations

import pytest

from launcher.executor.runner.leaving import leave_as_found
from launcher.values import KIB, PciAddress
from tests.fakes.host import FakeHost, everything
from tests.fakes.iommufd import FakeCdev
from tests.fakes.kernel import FakeKernel

CARD = PciAddress.parse("0000:01:00.0")
COMMAND, CACHE_LINE, POWER_STATE, DEVICE_CONTROL, DEVICE_CONTROL_2 = 0x04, 0x0C, 0x44, 0x88, 0xA8
ERRORS = 0x100  # Advanced Error Reporting (PCI Express 5.0, 7.8.4)
MASK, SEVERITY, CORRECTABLE_MASK, CONTROL = (ERRORS + one for one in (0x08, 0x0C, 0x14, 0x18))
CAPABLE, ENABLED = 0x0A0, 0x140  # of making ECRC and of looking at it
STATUS, LOG = ERRORS + 0x04, ERRORS + 0x1C


@pytest.fixture
def card() -> FakeCdev:
    function = everything(str(CARD), 1)
    function.config += bytes(4 * KIB - len(function.config))
    function.config[ERRORS : ERRORS + 4] = bytes.fromhex("01000200")
    function.config[CONTROL : CONTROL + 4] = CAPABLE.to_bytes(4, "little")
    kernel = FakeKernel(host=FakeHost([function]))
    cdev = kernel.open_cdev(CARD)
    cdev.bind(kernel.open_iommufd())
    return cdev


@pytest.mark.parametrize(
    "place", [COMMAND, CACHE_LINE, POWER_STATE, DEVICE_CONTROL, DEVICE_CONTROL_2, MASK, SEVERITY, CORRECTABLE_MASK]
)
def test_what_a_guest_wrote_is_as_the_next_one_would_find_it(card: FakeCdev, place: int) -> None:
    found = card.read_config(0, 4 * KIB)
    card.write_config(place, b"\x03")
    leave_as_found(card, found)
    assert card.read_config(0, 4 * KIB) == found


def test_a_guest_that_has_switched_checksums_of_packets_on_leaves_them_off(card: FakeCdev) -> None:
    """VFIO passes these bits on, and its reset puts them back as the guest had them (pci_restore_aer_state)."""
    found = card.read_config(0, 4 * KIB)
    card.write_config(CONTROL, (CAPABLE | ENABLED).to_bytes(4, "little"))
    leave_as_found(card, found)
    assert card.read_config(CONTROL, 4) == CAPABLE.to_bytes(4, "little")


def test_what_the_device_says_of_errors_is_its_own(card: FakeCdev) -> None:
    found = card.read_config(0, 4 * KIB)
    for place in (STATUS, LOG):
        card.write_config(place, b"\x10")
    card.kernel.calls.clear()
    leave_as_found(card, found)
    assert card.kernel.calls == ["pread"]
