"""Drivers of PCI functions, through sysfs (Documentation/ABI/testing/sysfs-bus-pci). OSError as the kernel gives it.

Who asks for a group or a node may ask about mediated devices, too. They are made and removed here
(sysfs-bus-vfio-mdev).
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

from launcher.kernel.api import MdevKind, Waits
from launcher.kernel.waiting import ignore_stops, wait_for
from launcher.kernel.whole import write_whole
from launcher.signals import signal
from launcher.values import PATIENCE, HostDevice, Mdev, PciAddress

_BUS, _MDEV, _GROUPS, _CLASSES = "/sys/bus/pci", "/sys/bus/mdev", "/sys/kernel/iommu_groups", "/sys/class"
MOMENT = 0.5  # seconds in which somebody who was killed ends, unless the kernel holds him
_NONE = "(null)"  # how the kernel writes an override that is not set


class PciDrivers:
    """`deadline`: seconds that a driver has to let go of a device. NVIDIA's waits for all its users, for ever.

    `waits` is what is done meanwhile.
    """

    def __init__(self, deadline: float = PATIENCE, bus: str | os.PathLike[str] = _BUS, waits: Waits = wait_for) -> None:
        self._deadline, self._bus, self._waits = deadline, os.fspath(bus), waits
        self._late: list[int] = []  # children that were killed and have not ended

    def driver(self, address: PciAddress) -> str | None:
        return _driver(self._device(address))

    def override(self, address: PciAddress) -> str | None:
        text = _read(f"{self._device(address)}/driver_override")
        return None if text in ("", _NONE) else text

    def group(self, address: HostDevice) -> int | None:
        """Its IOMMU group."""
        try:
            return int(os.path.basename(os.readlink(f"{self._device(address)}/iommu_group")))
        except FileNotFoundError:
            return None

    def node(self, address: HostDevice) -> str | None:
        """Its own, while a VFIO driver has it."""
        with suppress(OSError):
            return node_of(address, self._bus)
        return None

    def of_group(self, group: int) -> dict[str, str | None]:
        """Its members by name, which are not all PCI functions, with their drivers."""
        folder = f"{_GROUPS}/{group}/devices"
        return {name: _driver(f"{folder}/{name}") for name in sorted(os.listdir(folder))}

    def set_override(self, address: PciAddress, driver: str | None) -> None:
        """For this address only; never new_id, which catches every device of the kind."""
        whom = f"the kernel to note the driver of {address}"
        self._patiently(f"{self._device(address)}/driver_override", f"{driver or ''}\n", whom)

    def unbind(self, address: PciAddress) -> None:
        """Nothing to do without a driver. OSError ETIMEDOUT: the driver did not let go; it may still do so."""
        driver = self.driver(address)
        if driver is not None:
            path = f"{self._device(address)}/driver/unbind"
            self._patiently(path, str(address), f"{driver} to let go of {address}")

    def probe(self, address: PciAddress) -> None:
        """Let the driver that wants it have it: the override's, or the usual one. No error if none does."""
        self._patiently(f"{self._bus}/drivers_probe", str(address), f"a driver to take {address}")

    def mdev(self, address: Mdev) -> MdevKind | None:
        """What it was made of; None: there is none of this UUID. OSError EBUSY: it is only being made, or removed: its
        type comes behind it, and goes before it (mdev_device_create of the kernel, mdev_device_remove_common)."""
        device = self._device(address)
        try:
            parent = os.path.basename(os.path.dirname(os.readlink(device)))
            return MdevKind(parent, os.path.basename(os.readlink(f"{device}/mdev_type")))
        except FileNotFoundError:
            if os.path.lexists(device):
                raise OSError(errno.EBUSY, "it is being made, or removed", device) from None
            return None

    def make_mdev(self, kind: MdevKind, address: Mdev) -> None:
        """ENOENT: no such parent or type; EEXIST: it is there; EUSERS: there can be no more of them."""
        file = f"{_CLASSES}/mdev_bus/{kind.parent}/mdev_supported_types/{kind.type}/create"
        self._patiently(file, str(address), f"{kind.parent} to make {address}")

    def remove_mdev(self, address: Mdev) -> None:
        """OSError ETIMEDOUT: somebody has it open."""
        self._patiently(f"{self._device(address)}/remove", "1", f"users of {address} to let go of it")

    def files(self, address: HostDevice, driver: str | None) -> tuple[str, ...]:
        """All that the methods above write to, while the function is on this driver, to put it back."""
        device = self._device(address)
        if isinstance(address, Mdev):
            return (f"{device}/remove",)
        unbind = [f"{self._bus}/drivers/{driver}/unbind"] if driver else []
        return f"{device}/driver_override", *unbind, f"{self._bus}/drivers_probe"

    def _device(self, address: HostDevice) -> str:
        return _folder(address, self._bus)

    def _patiently(self, path: str, text: str, whom: str) -> None:
        """In a child: a driver that does not let go holds the device's lock, and a write waits for it for ever."""
        self._reap()
        hears, ends = os.pipe()  # its end is the child's: nothing that can be refused comes after the fork
        try:
            pid = _fork(path, text, ends)
        except OSError as error:
            os.close(hears)
            raise OSError(error.errno, error.strerror, "fork") from None
        finally:
            os.close(ends)
        try:
            self._wait(pid, hears, path, whom)
        finally:
            os.close(hears)

    def _wait(self, pid: int, hears: int, path: str, whom: str) -> None:
        try:
            ended = self._waits(hears, self._deadline, whom)
        except BaseException:  # no memory, or somebody wants us to stop: what became of it is not known
            self._give_up(pid, hears)
            raise
        if not ended:
            self._give_up(pid, hears)
            raise TimeoutError(errno.ETIMEDOUT, f"no answer within {self._deadline:g} s", path)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            found = status if status > 0 else errno.EIO  # somebody killed it
            raise OSError(found, os.strerror(found), path)

    def _give_up(self, pid: int, hears: int) -> None:
        """It ends by SIGKILL; one that the kernel holds back is waited for when it comes out."""
        os.kill(pid, signal.SIGKILL)
        with suppress(OSError):
            if wait_for(hears, MOMENT):  # its files are closed, and no driver holds it any more
                os.waitpid(pid, 0)
                return
        self._late.append(pid)

    def _reap(self) -> None:
        """A write that a driver held back for long ends one day."""
        self._late = [pid for pid in self._late if os.waitpid(pid, os.WNOHANG) == (0, 0)]


def node_of(address: HostDevice, bus: str | None = None) -> str:
    """The device node of what a VFIO driver has, by the name that it has now: it is another at each bind.

    ENOENT: it is on another driver, or the kernel makes no such nodes (CONFIG_VFIO_DEVICE_CDEV, Linux 6.6).
    """
    return f"/dev/vfio/devices/{os.path.basename(_vfio_device(address, bus or _BUS))}"


def number_of(address: HostDevice) -> str:
    """The number of that node, as in `511:0`."""
    return _read(f"{_vfio_device(address, _BUS)}/dev")


def number_in(place: str) -> str | None:
    """The same of a device in a class, as `misc/kvm`. None: sysfs has no such device."""
    with suppress(OSError):
        return _read(f"{_CLASSES}/{place}/dev")
    return None


def number_at(descriptor: int) -> str | None:
    """What is open there, as `number_of` says it. None: it is no character device."""
    found = os.fstat(descriptor)
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}" if stat.S_ISCHR(found.st_mode) else None


def _folder(address: HostDevice, pci: str) -> str:
    return f"{pci if isinstance(address, PciAddress) else _MDEV}/devices/{address}"


def _vfio_device(address: HostDevice, bus: str) -> str:
    folder = f"{_folder(address, bus)}/vfio-dev"
    for name in sorted(os.listdir(folder)):
        return f"{folder}/{name}"
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)


def _driver(device: str) -> str | None:
    try:
        return os.path.basename(os.readlink(f"{device}/driver"))
    except FileNotFoundError:
        return None


def _fork(path: str, text: str, ends: int) -> int:
    """The pid of a child that writes `text`; its errno is the exit status, and `ends` is closed when it has gone.

    It may stay for ever, and must hold nothing else of its parent's.
    """
    pid = os.fork()
    if pid:
        return pid
    status = errno.EIO
    try:
        ignore_stops()
        os.closerange(3, ends)
        os.closerange(ends + 1, os.sysconf("SC_OPEN_MAX"))
        _write(path, text)
        status = 0
    except OSError as error:
        status = error.errno or errno.EIO
    finally:
        os._exit(status)


def _read(path: str) -> str:
    with open(path) as file:
        return file.read().strip()


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        write_whole(descriptor, text.encode(), what=path)
    finally:
        os.close(descriptor)
