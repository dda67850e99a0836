"""The Kernel protocol on this machine."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Mapping, Sequence
from itertools import chain

from launcher.kernel import confine
from launcher.kernel.api import (
    AddressSpaces,
    Drivers,
    EngineOrder,
    GivenUp,
    OtherNode,
    Tap,
    VfChange,
    Vhost,
    VhostUser,
    Waits,
)
from launcher.kernel.api import Engine as EngineHandle
from launcher.kernel.api import VirtualFunctions as VfFunctions
from launcher.kernel.descriptor import Eventfd
from launcher.kernel.dev_kvm import Kvm
from launcher.kernel.handed import CONTAINER, GROUP, IOMMUFD, KVM, Handed, let_go
from launcher.kernel.memory import HostMemory
from launcher.kernel.standby import Standby
from launcher.kernel.sysfs import PciDrivers, node_of, number_at, number_of
from launcher.kernel.type1 import Container, Group, Type1
from launcher.kernel.virtual_functions import VirtualFunctions
from launcher.kernel.waiting import wait_for
from launcher.typed import IO, TYPE_CHECKING
from launcher.values import HostDevice

if TYPE_CHECKING:
    from launcher.kernel.iommufd import Cdev, IommuFile

LONGEST = 60.0  # seconds for modprobe
VARIABLES = "firmware's variables"  # among the ends, where no alias is called so
MOST_SAID = 4096  # bytes of what it says


class RealKernel:
    """`handed` are descriptors by path, used instead of opening what they are of, each once."""

    def __init__(self, handed: Handed | None = None) -> None:
        self.waits: Waits = wait_for
        self.drivers = PciDrivers(waits=self._wait)
        self._functions = VirtualFunctions()
        self.virtual_functions: VfFunctions = self._functions
        self.ends: dict[str, int] = {}
        self.engines: list[EngineHandle] = []
        self.folder = -1
        self._handed = {path: list(fds) for path, fds in (handed or {}).items()}
        self._filters = False  # this process has one for its calls

    @property
    def handed(self) -> tuple[int, ...]:
        return (*chain.from_iterable(self._handed.values()), *self.ends.values())

    def load_modules(self, names: Sequence[str]) -> None:
        """And what they need. OSError ENOENT without modprobe, EINVAL with what it says when it refuses."""
        with os.fdopen(os.memfd_create("modprobe"), "w+b") as said:
            status = self._run(["modprobe", "-a", "--", *names], said, f"modprobe to load {', '.join(names)}")
            said.seek(0)
            if status:
                words = said.read(MOST_SAID).decode(errors="replace").strip()
                raise OSError(errno.EINVAL, words or f"exit status {status}", "modprobe")

    def prepare_engine(self, order: EngineOrder) -> EngineHandle:
        """It waits for its `begin`."""
        from launcher.kernel.engine import Engine

        engine = Engine(order, self._wait)
        self.engines.append(engine)
        return engine

    def make_tap(self, name: str, bridge: str, mtu: int) -> int:
        from launcher.kernel import tap

        return tap.make(name, bridge, mtu)

    def open_tap(self, name: str) -> int:
        from launcher.kernel import tap

        return tap.attach(name)

    def close_ends(self) -> None:
        """In the keeper, once its runner has them: whom they lead to hears when the runner goes. What was handed in is
        the runner's as well: while anybody else has it, VFIO does not let go of the device."""
        while self.ends:
            os.close(self.ends.popitem()[1])
        self.keep_handed(())

    def keep_handed(self, paths: Collection[str]) -> tuple[str, ...]:
        """Those that there are of them; the others are closed."""
        let_go(self._handed, lambda path: path not in paths)
        self._handed = {path: fds for path, fds in self._handed.items() if path in paths}
        return tuple(sorted(self._handed))

    def _wait(self, descriptor: int, seconds: float, whom: str) -> bool:
        """Whoever owns this may change what `waits`."""
        return self.waits(descriptor, seconds, whom)

    def _run(self, words: list[str], said: IO[bytes], whom: str) -> int:
        import subprocess  # few plans run a program

        hears, ends = os.pipe()  # its end is the child's
        try:
            child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=said, stderr=said, pass_fds=(ends,))
        except BaseException:
            os.close(hears)
            raise
        finally:
            os.close(ends)
        try:
            if self.waits(hears, LONGEST, whom):
                return child.wait()
            raise TimeoutError(errno.ETIMEDOUT, f"no answer within {LONGEST:g} s", words[0])
        finally:
            child.kill()  # it has ended, unless it is too late; then it may be in the kernel's hands for long
            os.close(hears)

    def address_spaces(self) -> Type1:
        return Type1(self.open_container, self.open_group)

    def open_container(self) -> Container:
        """ENOENT, ENODEV without the vfio modules."""
        return Container(self._open(CONTAINER))

    def open_group(self, number: int) -> Group:
        """EBUSY: somebody has it open; ENOENT: no member is bound to a VFIO driver."""
        return Group(self._open(GROUP.format(number)), number)

    def iommufd(self, members: Mapping[int, Sequence[HostDevice]], *, by_process: bool) -> AddressSpaces:
        """Of each group, those of its functions that are opened."""
        from launcher.kernel.iommufd import Iommufd  # most hosts have type1

        return Iommufd(self.open_iommufd, self.open_cdev, members, by_process=by_process)

    def open_iommufd(self) -> IommuFile:
        """ENOENT without iommufd, EACCES."""
        from launcher.kernel.iommufd import IommuFile

        return IommuFile(self._open(IOMMUFD))

    def open_cdev(self, address: HostDevice) -> Cdev:
        """ENOENT: it is not bound to a VFIO driver, or the kernel makes no such nodes. OtherNode: a name is no proof.

        What is open keeps its number, so it is looked up when it is.
        """
        from launcher.kernel.iommufd import Cdev

        node = node_of(address)
        cdev = Cdev(self._open(node), address)
        try:
            found, its = number_at(cdev.fd), number_of(address)
            if found != its:
                raise OtherNode(node, its, found)
        except OSError:
            cdev.close()
            raise
        return cdev

    def eventfd(self) -> Eventfd:
        return Eventfd()

    def open_kvm(self) -> Kvm:
        """ENOENT, EACCES, ENXIO."""
        return Kvm(self._open(KVM))

    def _open(self, path: str) -> int:
        given = self._handed.get(path)
        return given.pop(0) if given else os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def take_memory(
        self, size: int, page_size: int, node: int | None, *, shared: bool = False, late: bool = False
    ) -> HostMemory:
        return HostMemory(size, page_size, node, shared=shared, late=late)

    def open_vhost(self, kind: str) -> Vhost:
        """net or vsock. ENOENT without the module, EACCES."""
        from launcher.kernel.vhost import Vhost  # few VMs have one

        return Vhost(self._open(f"/dev/vhost-{kind}"))

    def tap(self, alias: str) -> Tap:
        """The one that the keeper opened for it."""
        from launcher.kernel.vhost import Tap

        return Tap(self.ends[alias])

    def vhost_user(self, alias: str) -> VhostUser:
        """The engine that the keeper connected for it."""
        from launcher.kernel.vhost_user import VhostUser

        return VhostUser(self.ends[alias])

    def keep_variables(self, file: int) -> None:
        """For the runner, as the ends are."""
        self.ends[VARIABLES] = file

    def variables(self) -> int:
        """The file of the firmware's, which the keeper opened; -1: nobody keeps them."""
        return self.ends.get(VARIABLES, -1)

    def run_on(self, host_cpus: Collection[int]) -> None:
        """From now on the calling thread, and each that it starts, runs on these host CPUs only."""
        os.sched_setaffinity(0, host_cpus)

    def take_user(self) -> None:
        confine.take_user()

    def confine(self, *, virtio: bool = False) -> dict[str, str]:
        """For good. What was handed in twice has not been used, and nothing is opened from now on."""
        self.keep_handed(())
        done = confine.confine(virtio=virtio)
        self._filters = done["seccomp"] == confine.ON
        return done

    def confine_vcpu(self, *, devices: bool, virtio: bool = False) -> None:
        if self._filters:
            confine.confine_vcpu(devices=devices, virtio=virtio)

    def give_up(self, folder: str, drivers: Drivers, changes: Sequence[VfChange], runner: int, pidfd: int) -> GivenUp:
        """`changes`: those of virtual functions that are to be made when the runner has gone."""
        pidfds = (pidfd, *(one.pidfd for one in self.engines))
        files = dict.fromkeys(chain.from_iterable(self.drivers.files(*one) for one in drivers))
        if not changes:
            return confine.give_up(folder, tuple(files), runner, pidfds)
        standby = Standby(changes, pidfd, self._functions, self._wait)
        self.virtual_functions = standby
        given = confine.give_up(folder, tuple(files), runner, pidfds)
        return given._replace(standby=standby.pid, of_standby=standby.measures)
