"""Drivers of PCI functions, through sysfs (Documentation/ABI/testing/sysfs-bus-pci). OSError as the kernel gives it."""

from __future__ import annotations

import errno
import os
import select
import signal
from contextlib import suppress
from pathlib import Path

from launcher.values import PciAddress

_BUS = Path("/sys/bus/pci")
_NONE = "(null)"  # how the kernel writes an override that is not set


class PciDrivers:
    """`deadline`: seconds that a driver has to let go of a device. NVIDIA's waits for all its users, for ever."""

    def __init__(self, deadline: float = 20.0, bus: Path = _BUS) -> None:
        self._deadline, self._bus = deadline, bus

    def driver(self, address: PciAddress) -> str | None:
        try:
            return os.path.basename(os.readlink(self._device(address) / "driver"))
        except FileNotFoundError:
            return None

    def override(self, address: PciAddress) -> str | None:
        text = (self._device(address) / "driver_override").read_text().strip()
        return None if text in ("", _NONE) else text

    def group(self, address: PciAddress) -> int | None:
        """Its IOMMU group."""
        try:
            return int(os.path.basename(os.readlink(self._device(address) / "iommu_group")))
        except FileNotFoundError:
            return None

    def set_override(self, address: PciAddress, driver: str | None) -> None:
        """For this address only; never new_id, which catches every device of the kind."""
        self._patiently(self._device(address) / "driver_override", f"{driver or ''}\n")

    def unbind(self, address: PciAddress) -> None:
        """Nothing to do without a driver. OSError ETIMEDOUT: the driver did not let go; it may still do so."""
        if self.driver(address) is not None:
            self._patiently(self._device(address) / "driver" / "unbind", str(address))

    def probe(self, address: PciAddress) -> None:
        """Let the driver that wants it have it: the override's, or the usual one. No error if none does."""
        self._patiently(self._bus / "drivers_probe", str(address))

    def files(self, address: PciAddress, driver: str | None) -> tuple[str, ...]:
        """All that the methods above write to while the function is on this driver."""
        device = self._device(address)
        unbind = [self._bus / "drivers" / driver / "unbind"] if driver else []
        return tuple(str(one) for one in (device / "driver_override", *unbind, self._bus / "drivers_probe"))

    def _device(self, address: PciAddress) -> Path:
        return self._bus / "devices" / str(address)

    def _patiently(self, path: Path, text: str) -> None:
        """In a child: a driver that does not let go holds the device's lock, and a write waits for it for ever."""
        pid = os.fork()
        if pid == 0:
            _exit_with(path, text)
        pidfd = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            if not poll.poll(self._deadline * 1000):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                raise TimeoutError(errno.ETIMEDOUT, f"no answer within {self._deadline:g} s", str(path))
        finally:
            os.close(pidfd)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status:
            raise OSError(status, os.strerror(status), str(path))


def _exit_with(path: Path, text: str) -> None:
    """In the child: the errno is the exit status. It may stay here for ever, and must hold nothing of its parent's."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    status = errno.EIO
    try:
        _write(path, text)
        status = 0
    except OSError as error:
        status = error.errno or errno.EIO
    finally:
        os._exit(status)


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
