"""A Kernel that keeps KVM's and VFIO's rules on a host of values: it counts calls, and fails the one it is told to.

What it holds open or changed is in `left`; so is what the kernel lets pass and a careful program does not do.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from launcher.kernel.api import Drivers, Engine, EngineOrder, Event, GivenUp, VfChange, Waits
from launcher.kernel.confine import GIVEN_UP, MEASURES
from launcher.kernel.descriptor import Eventfd
from launcher.kernel.engine import Engine as RealEngine
from launcher.kernel.iommufd import Iommufd, Members
from launcher.kernel.type1 import Type1
from launcher.kernel.waiting import wait_for
from tests.fakes.drivers import FakeDrivers
from tests.fakes.engines import BLK_FEATURES, FakeEngine, FakeTap, FakeVhost, FakeVhostUser
from tests.fakes.handle import FakeMemory, Handle, refuse
from tests.fakes.host import FakeHost
from tests.fakes.iommufd import FakeCdev, FakeIoas, FakeIommuFile, open_cdev
from tests.fakes.kvm import FakeKvm
from tests.fakes.networks import FakeVirtualFunctions
from tests.fakes.vfio import FakeContainer, FakeGroup

if TYPE_CHECKING:
    from launcher.values import PciAddress
    from tests.fakes.device import FakeDevice

__all__ = ["FakeKernel", "Handle"]


@dataclass
class FakeKernel:
    """`fail_at` is the number of the call (from 1) that fails with `error`; `calls` are the names in order.

    `events` are what each vCPU comes back with: one event, or several, the last of which ends it; `after_reset` are
    those of the lives after the first.
    """

    fail_at: int = 0
    error: int = errno.EIO
    events: Sequence[Event | Sequence[Event]] = (Event("power-off"),)
    after_reset: Sequence[Event | Sequence[Event]] = (Event("power-off"),)
    host: FakeHost = field(default_factory=FakeHost)
    calls: list[str] = field(default_factory=list)
    open: list[Handle] = field(default_factory=list)
    memory_size: int = 1 << 40
    memslots: int = 509
    most_routes: int = 4096
    timer_stands: bool = True  # the guest has stopped its i8254
    most_eventfds: int = 1 << 20
    spaces: list[FakeContainer | FakeIoas] = field(default_factory=list)  # with groups in them; of iommufd, all
    devices: list[FakeDevice] = field(default_factory=list)  # open, or mapped
    eventfds: list[FakeEventfd] = field(default_factory=list)
    engines: list[FakeEngine] = field(default_factory=list)  # all that there were
    taps: dict[str, FakeTap] = field(default_factory=dict)
    ioeventfds: dict[int, int] = field(default_factory=dict)  # guest address -> eventfd
    taken_cids: Collection[int] = ()
    irqfds: dict[int, int] = field(default_factory=dict)  # eventfd -> GSI
    delivered: list[int] = field(default_factory=list)  # GSIs
    routes: dict[int, Any] = field(default_factory=dict)
    untidy: list[str] = field(default_factory=list)
    replies: list[int] = field(default_factory=list)  # what the guest has read
    affinities: list[set[int]] = field(default_factory=list)
    handed: tuple[int, ...] = ()
    vms: int = 0  # created so far
    asleep: bool = False  # its vCPUs, all of them
    woken: bool = False  # those that are asleep, right after they were looked at
    running: int = 0  # calls before the first vCPU ran
    ending: int = 0  # calls before the last event of a vCPU

    def __post_init__(self) -> None:
        self.drivers = FakeDrivers(self)
        self.virtual_functions = FakeVirtualFunctions(self)
        self.waits: Waits = wait_for
        self.ends: dict[str, int] = {}
        self.engines: list[Engine] = []
        self.folder = -1

    def call(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.fail_at:
            refuse(self.error, name)

    def fire(self, event: int) -> None:
        """What an eventfd's write does: KVM delivers it, or it waits in the counter."""
        if event in self.irqfds:
            self.delivered.append(self.irqfds[event])
        else:
            os.eventfd_write(event, 1)

    def left(self) -> list[str]:
        return [
            *(f"open: {type(one).__name__}" for one in self.open),
            *(f"eventfd {one.fd}" for one in self.eventfds),
            *(f"open: {type(one).__name__}" for one in self.engines if not one.closed),
            *(f"ioeventfd at {guest:#x}" for guest in self.ioeventfds),
            *(f"irqfd of GSI {gsi}" for gsi in self.irqfds.values()),
            *(f"mapped: {span}" for space in self.spaces for span in space.maps),
            *(f"in a container: group {group.number}" for space in self.spaces for group in space.groups),
            *(f"device: {one.address}" for one in self.devices),
            *self.untidy,
        ]

    # -- Kernel --------------------------------------------------------------------------------------------------------

    def load_modules(self, names: Sequence[str]) -> None:
        self.call("modprobe")

    def prepare_engine(self, order: EngineOrder) -> Engine:
        self.call("fork")
        self.engines.append(RealEngine(order, self.waits))
        return self.engines[-1]

    def make_tap(self, name: str, bridge: str, mtu: int) -> int:
        self.call("TUNSETIFF")
        return os.eventfd(0, os.EFD_CLOEXEC)

    def open_tap(self, name: str) -> int:
        return self.make_tap(name, "", 0)

    def close_ends(self) -> None:
        while self.ends:
            os.close(self.ends.popitem()[1])

    def keep_handed(self, paths: Collection[str]) -> tuple[str, ...]:
        return ()

    def address_spaces(self) -> Type1:
        """The real one: what it opens is fake."""
        return Type1(self.open_container, self.open_group)

    def iommufd(self, members: Members, *, by_process: bool) -> Iommufd:
        """The real one, too."""
        return Iommufd(self.open_iommufd, self.open_cdev, members, by_process=by_process)

    def open_iommufd(self) -> FakeIommuFile:
        self.call("open /dev/iommu")
        return FakeIommuFile(self)

    def open_cdev(self, address: PciAddress) -> FakeCdev:
        return open_cdev(self, address)

    def open_container(self) -> FakeContainer:
        self.call("open /dev/vfio/vfio")
        return FakeContainer(self)

    def open_group(self, number: int) -> FakeGroup:
        self.call(f"open /dev/vfio/{number}")
        return FakeGroup(self, number)

    def eventfd(self) -> FakeEventfd:
        self.call("eventfd")
        if len(self.eventfds) >= self.most_eventfds:
            refuse(errno.EMFILE, "eventfd")
        return FakeEventfd(self)

    def open_kvm(self) -> FakeKvm:
        self.call("open /dev/kvm")
        return FakeKvm(self)

    def take_memory(
        self, size: int, page_size: int, node: int | None, *, shared: bool = False, late: bool = False
    ) -> FakeMemory:
        self.call("mmap")
        if size > self.memory_size:
            refuse(errno.ENOMEM, "mmap")
        return FakeMemory(self, size, shared=shared)

    def open_vhost(self, kind: str) -> FakeVhost:
        self.call(f"open /dev/vhost-{kind}")
        return FakeVhost(self, kind)

    def tap(self, alias: str) -> FakeTap:
        self.taps[alias] = FakeTap(self)
        return self.taps[alias]

    def vhost_user(self, alias: str) -> FakeVhostUser:
        return FakeVhostUser(self, BLK_FEATURES)

    def keep_variables(self, file: int) -> None:
        self.ends["variables"] = file

    def variables(self) -> int:
        return self.ends.get("variables", -1)

    def run_on(self, host_cpus: Collection[int]) -> None:
        self.call("sched_setaffinity")
        self.affinities.append(set(host_cpus))

    def take_user(self) -> None:
        """The process is that of the tests, too: here and below."""

    def confine(self, *, virtio: bool = False) -> dict[str, str]:
        return dict.fromkeys(MEASURES, "Function not implemented")

    def confine_vcpu(self, *, devices: bool, virtio: bool = False) -> None:
        """In no order, on threads: not counted."""

    def give_up(self, folder: Path, drivers: Drivers, changes: Sequence[VfChange], runner: int, pidfd: int) -> GivenUp:
        return GivenUp(dict.fromkeys(GIVEN_UP, "Function not implemented"), ("/",))


class FakeEventfd(Eventfd):
    """A real one, so that it can be waited for."""

    def __init__(self, kernel: FakeKernel) -> None:
        super().__init__()
        self._kernel = kernel
        kernel.eventfds.append(self)

    def close(self) -> None:
        if self in self._kernel.eventfds:
            self._kernel.eventfds.remove(self)
            if self.fd in self._kernel.irqfds:
                self._kernel.untidy.append(f"eventfd {self.fd} closed while it is an irqfd")
            if any(self.fd in one.events() for one in self._kernel.devices):
                self._kernel.untidy.append(f"eventfd {self.fd} closed while a device fires it")
        super().close()

    def readable(self) -> bool:
        """Looks without taking."""
        if not self.take():
            return False
        os.eventfd_write(self.fd, 1)
        return True
