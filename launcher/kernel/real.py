"""The Kernel protocol on this machine."""

from __future__ import annotations

import os

from launcher.kernel.kvm import Kvm
from launcher.kernel.memory import HostMemory


class RealKernel:
    def open_kvm(self) -> Kvm:
        return Kvm()

    def take_memory(self, size: int, page_size: int, node: int | None) -> HostMemory:
        return HostMemory(size, page_size, node)

    def pin_thread(self, host_cpu: int) -> None:
        """The calling thread runs on this host CPU only."""
        os.sched_setaffinity(0, {host_cpu})
