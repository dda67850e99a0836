"""Type1's address spaces, where they are not as those of test_spaces.py: a container ends whatever the kernel says."""

from __future__ import annotations

import errno
import os

import pytest

from launcher.kernel import type1
from tests.fakes.host import FakeHost, nvme
from tests.fakes.kernel import FakeKernel
from tests.vfio_rules import refused


def test_a_group_that_cannot_leave_does_not_keep_its_container_open() -> None:
    kernel = FakeKernel(host=FakeHost([nvme("0000:01:00.0", 1)]))
    spaces = kernel.address_spaces()
    spaces.open_group(1)
    spaces.join(1)
    kernel.fail_at = len(kernel.calls) + 1
    with refused(errno.EIO):
        spaces.leave(1)
    spaces.close_group(1)
    assert kernel.open == []


def test_a_container_that_no_group_has_joined_hides_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only where the kernel took all groups out of it is there nothing to unmap."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EINVAL, "Invalid argument", "VFIO_IOMMU_UNMAP_DMA")

    monkeypatch.setattr(type1, "ioctl", refuse)
    container = type1.Container(os.open(os.devnull, os.O_RDWR))
    with pytest.raises(OSError, match="Invalid argument"):
        container.unmap_dma(0, 4096)
    container.close()
