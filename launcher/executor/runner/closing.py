"""Open devices in; closed, and RAM out of their reach, when the VM ends: what the kernel sleeps over beside its work.

VFIO resets a device when it is closed, and sleeps for 100 ms and more meanwhile (resets.py). To unmap RAM takes a
processor as long as that where there is much of it. KVM waits for readers when its VFIO device is closed
(kvm_device_release), and has no more than a note of those files, which says how they do DMA.
"""

from __future__ import annotations

from _thread import LockType, allocate_lock
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from functools import partial

from launcher.executor.runner.devices.passed import PassedDevice
from launcher.executor.runner.live import Live
from launcher.executor.runner.spaces import OpenedGroups
from launcher.kernel.api import AddressSpaces, Device, KvmVfio
from launcher.kernel.threads import Running, start
from launcher.plan.steps import Passed, PassedMdev
from launcher.row import NamedTuple
from launcher.values import PciAddress


class ToldKvm(NamedTuple):
    """KVM's VFIO device, and how the files that it knows are taken from it, once."""

    vfio: KvmVfio
    files: ExitStack


class Closing:
    """By iommufd devices are closed with their groups, when nothing is mapped any more; and a guest that starts again
    keeps its RAM mapped. Then, and where a device does not obey, each is closed in its turn."""

    def __init__(self, spaces: AddressSpaces, told: ToldKvm, live: Live) -> None:
        self._spaces, self._told, self._live = spaces, told, live
        self._silent = False
        self._turns: dict[PciAddress | None, LockType] = {}  # by the bridge above, and of those on root buses
        self._threads: dict[Passed | PassedMdev, Running] = {}
        self._refused: dict[Passed | PassedMdev, OSError] = {}

    def silence(self, devices: Sequence[PassedDevice]) -> None:
        """They are off the guest's bus, and begin no DMA any more. A driver of mediated ones may have pinned RAM. What
        caches translations is told of each that goes, and need not answer while it is reset: the IOMMU waits for that
        with a processor's interrupts off (qi_submit_sync), where the kernel does not keep the two apart, as 7.3 does
        (pci_dev_reset_iommu_prepare)."""
        if not self._live.ends or self._spaces.keeps_devices:
            return
        if all(isinstance(one.step, Passed) and not one.function.caches_translations for one in devices):
            with suppress(OSError):
                for one in devices:
                    one.silence()
                self._silent = True

    def close(self, one: Passed | PassedMdev, device: Device) -> None:
        """Nothing of it is mapped any more. It may still be closing."""
        if not (self._silent and isinstance(one, Passed)):
            self._spaces.close_device(device)
            return
        close = partial(self._close, one, device, self._turns.setdefault(one.parent, allocate_lock()))
        try:
            self._threads[one] = start(close)
        except OSError:  # there is no thread to be had
            close()

    def _close(self, one: Passed, device: Device, turn: LockType) -> None:
        """Behind a bridge one is reset at a time: VFIO only tries to have the bridge for itself, and leaves the reset
        out when it has not (vfio_pci_core_disable of Linux 6.12.117 and 7.3). For functions of one bus it takes turns
        itself."""
        with turn:
            try:
                self._spaces.close_device(device)
            except OSError as error:
                self._refused[one] = error

    def meanwhile(self) -> None:
        """What is said wakes others."""
        if self._silent:
            for one in reversed(self._live.the(OpenedGroups).maps):
                one.unmap_ram()
            self._live.let_out()
            with ExitStack() as all_of_it:  # last first
                all_of_it.callback(self._told.vfio.close)
                all_of_it.callback(self._told.files.close)

    def wait(self, one: Passed | PassedMdev) -> None:
        """It is closed. What was refused is raised."""
        if thread := self._threads.get(one):
            thread.join()
        if refused := self._refused.get(one):
            raise refused
