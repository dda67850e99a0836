"""A write of which the kernel takes a part is refused: a file that must not grow stands in for the device."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.kernel.sysfs import PciDrivers
from launcher.kernel.vfio import Device
from launcher.kernel.whole import write_whole
from launcher.values import PciAddress

PAGE = 4096
NOBODY = PciAddress(0, 1, 0, 0)


@pytest.fixture
def page() -> Iterator[int]:
    """One page that takes what fits of a write, and says how much that was."""
    file = os.memfd_create("page", os.MFD_ALLOW_SEALING)
    os.truncate(file, PAGE)
    fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW)
    assert os.pwrite(file, bytes(2 * PAGE), 0) == PAGE
    yield file
    os.close(file)


def test_what_is_taken_as_a_whole_is_written(page: int) -> None:
    write_whole(page, b"whole", PAGE - 5)
    assert os.pread(page, PAGE, PAGE - 5) == b"whole"


def test_half_a_write_names_what_it_was_and_how_much_was_taken(page: int) -> None:
    with pytest.raises(OSError, match="the kernel took 4096 of 8192 bytes") as raised:
        write_whole(page, bytes(2 * PAGE), 0, "the ROM")
    assert (raised.value.errno, raised.value.filename) == (errno.EIO, "the ROM")


def test_half_a_write_of_configuration_space_is_a_refusal(page: int) -> None:
    device = Device(os.dup(page), NOBODY)
    device.write_config(0, bytes(PAGE))
    with pytest.raises(OSError, match="configuration space") as raised:
        device.write_config(0, bytes(2 * PAGE))
    assert raised.value.errno == errno.EIO
    device.close()


def test_half_an_access_of_a_region_is_a_refusal(page: int) -> None:
    device = Device(os.dup(page), NOBODY)
    assert device.read(0, 4) == bytes(4)
    for access in (lambda: device.read(PAGE - 2, 4), lambda: device.write(0, bytes(2 * PAGE))):
        with pytest.raises(OSError, match="of") as raised:
            access()
        assert raised.value.errno == errno.EIO
    device.close()


def test_a_driver_file_that_takes_nothing_is_a_refusal(tmp_path: Path) -> None:
    """/dev/full takes nothing."""
    (tmp_path / "drivers_probe").symlink_to("/dev/full")
    with pytest.raises(OSError, match="drivers_probe") as raised:
        PciDrivers(bus=tmp_path).probe(NOBODY)
    assert raised.value.errno == errno.ENOSPC
