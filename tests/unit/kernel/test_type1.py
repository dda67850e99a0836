"""Type1's address spaces, where they are not as those of test_spaces.py: a container ends whatever the kernel says."""

from __future__ import annotations

import errno

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
