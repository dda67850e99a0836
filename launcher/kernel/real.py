"""The Kernel protocol on this machine."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Sequence

from launcher.kernel.descriptor import Eventfd
from launcher.kernel.kvm import Kvm
from launcher.kernel.memory import HostMemory
from launcher.kernel.sysfs import PciDrivers
from launcher.kernel.vfio import Container, Group


class RealKernel:
    def __init__(self) -> None:
        self.drivers = PciDrivers()

    def load_modules(self, names: Sequence[str]) -> None:
        """And what they need. OSError ENOENT without modprobe, EINVAL with what it says when it refuses."""
        words = ["modprobe", "-a", "--", *names]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        except subprocess.TimeoutExpired:
            raise TimeoutError(errno.ETIMEDOUT, "no answer within 60 s", "modprobe") from None
        if done.returncode:
            raise OSError(errno.EINVAL, done.stderr.strip() or f"exit status {done.returncode}", "modprobe")

    def open_container(self) -> Container:
        return Container()

    def open_group(self, number: int) -> Group:
        return Group(number)

    def eventfd(self) -> Eventfd:
        return Eventfd()

    def open_kvm(self) -> Kvm:
        return Kvm()

    def take_memory(self, size: int, page_size: int, node: int | None) -> HostMemory:
        return HostMemory(size, page_size, node)

    def pin_thread(self, thread_id: int, host_cpu: int) -> None:
        """`thread_id` as gettid gives it: from now on it runs on this host CPU only."""
        os.sched_setaffinity(thread_id, {host_cpu})
