"""PciDrivers of the fake kernel: who drives a function, and who may. A probe that binds nothing is no error."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from tests.fakes.handle import refuse
from tests.fakes.host import VFIO
from tests.fakes.vfio import take_out

if TYPE_CHECKING:
    from launcher.kernel.api import MdevKind
    from launcher.values import HostDevice, Mdev, PciAddress
    from tests.fakes.host import FakeFunction
    from tests.fakes.kernel import FakeKernel


class FakeDrivers:
    def __init__(self, kernel: FakeKernel) -> None:
        self._kernel = kernel

    def driver(self, address: PciAddress) -> str | None:
        self._kernel.host.recall()
        found = self._kernel.host.at(address)
        return found.driver if found else None

    def override(self, address: PciAddress) -> str | None:
        return self._function(address, "driver_override").override

    def group(self, address: PciAddress) -> int | None:
        found = self._kernel.host.at(address)
        return found.group if found else None

    def node(self, address: PciAddress) -> str | None:
        return None

    def of_group(self, group: int) -> dict[str, str | None]:
        return {str(one.address): one.driver for one in self._kernel.host.of_group(group)}

    def set_override(self, address: PciAddress, driver: str | None) -> None:
        self._kernel.call("driver_override")
        self._function(address, "driver_override").override = driver
        self._kernel.host.keep()

    def unbind(self, address: PciAddress) -> None:
        """VFIO waits for all who have it open, as some other drivers do for their users."""
        one = self._function(address, "unbind")
        if one.driver is None:
            return
        self._kernel.call("unbind")
        if one.held >= 0 and not self._kernel.waits(one.held, 60, f"{one.driver} to let go of {address}"):
            refuse(errno.ETIMEDOUT, "unbind")
        if one.holds_on or (one.driver == VFIO and any(device.function is one for device in self._kernel.devices)):
            refuse(errno.ETIMEDOUT, "unbind")
        self.let_go(one)

    def let_go(self, one: FakeFunction) -> None:
        one.driver = None
        if not any(other.driver == VFIO for other in self._kernel.host.of_group(one.group)):
            take_out(self._kernel, one.group)
        self._kernel.host.keep()

    def probe(self, address: PciAddress) -> None:
        self._kernel.call("drivers_probe")
        one = self._function(address, "drivers_probe")
        wanted = one.override or one.native
        if one.driver is None and wanted not in one.refusing and wanted in (one.native, VFIO):
            one.driver = wanted
        self._kernel.host.keep()

    def mdev(self, address: Mdev) -> MdevKind | None:
        self._kernel.host.recall()
        found = self._kernel.host.at(address)
        return found.kind if found else None

    def make_mdev(self, kind: MdevKind, address: Mdev) -> None:
        """Its parents make those that the host has, and no more of them."""
        self._kernel.call("create")
        if self.mdev(address) is not None:
            refuse(errno.EEXIST, "create")
        found = next((one for one in self._kernel.host.functions if (one.address, one.kind) == (address, kind)), None)
        if found is None:
            refuse(errno.ENOENT, "create")
        found.there = True
        self._kernel.host.keep()

    def remove_mdev(self, address: Mdev) -> None:
        """VFIO waits for all who have it open."""
        one = self._function(address, "remove")
        self._kernel.call("remove")
        if any(device.function is one for device in self._kernel.devices):
            refuse(errno.ETIMEDOUT, "remove")
        one.there = False
        self._kernel.host.keep()

    def _function(self, address: HostDevice, call: str) -> FakeFunction:
        self._kernel.host.recall()
        return self._kernel.host.at(address) or refuse(errno.ENOENT, call)
