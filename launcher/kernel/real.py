"""The Kernel protocol on this machine."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Collection, Sequence
from itertools import chain
from pathlib import Path

from launcher.kernel import confine
from launcher.kernel.api import Drivers, GivenUp
from launcher.kernel.descriptor import Eventfd
from launcher.kernel.dev_kvm import Kvm
from launcher.kernel.handed import CONTAINER, GROUP, KVM, Handed
from launcher.kernel.memory import HostMemory
from launcher.kernel.sysfs import PciDrivers
from launcher.kernel.vfio import Container, Group


class RealKernel:
    """`handed` are descriptors by path, used instead of opening what they are of, each once."""

    def __init__(self, handed: Handed | None = None) -> None:
        self.drivers = PciDrivers()
        self._handed = {path: list(fds) for path, fds in (handed or {}).items()}
        self._filters = False  # this process has one for its calls

    @property
    def handed(self) -> tuple[int, ...]:
        return tuple(chain.from_iterable(self._handed.values()))

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
        """ENOENT, ENODEV without the vfio modules."""
        return Container(self._open(CONTAINER))

    def open_group(self, number: int) -> Group:
        """EBUSY: somebody has it open; ENOENT: no member is bound to a VFIO driver."""
        return Group(self._open(GROUP.format(number)), number)

    def eventfd(self) -> Eventfd:
        return Eventfd()

    def open_kvm(self) -> Kvm:
        """ENOENT, EACCES, ENXIO."""
        return Kvm(self._open(KVM))

    def _open(self, path: str) -> int:
        given = self._handed.get(path)
        return given.pop(0) if given else os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def take_memory(self, size: int, page_size: int, node: int | None) -> HostMemory:
        return HostMemory(size, page_size, node)

    def run_on(self, host_cpus: Collection[int]) -> None:
        """From now on the calling thread, and each that it starts, runs on these host CPUs only."""
        os.sched_setaffinity(0, host_cpus)

    def take_user(self) -> None:
        confine.take_user()

    def confine(self) -> dict[str, str]:
        done = confine.confine()
        self._filters = done["seccomp"] == confine.ON
        return done

    def confine_vcpu(self, *, devices: bool) -> None:
        if self._filters:
            confine.confine_vcpu(devices=devices)

    def give_up(self, folder: Path, drivers: Drivers, runner: int, pidfd: int) -> GivenUp:
        files = dict.fromkeys(chain.from_iterable(self.drivers.files(*one) for one in drivers))
        return confine.give_up(folder, tuple(files), runner, pidfd)
