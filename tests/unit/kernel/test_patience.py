"""Writes to sysfs by a child, on pipes that nobody reads: what came too late, what is refused, and what is left."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from launcher.kernel.sysfs import PciDrivers
from launcher.kernel.waiting import wait_for
from launcher.values import PciAddress
from tests.conftest import PATIENCE, ROOT, processes_of

DRIVE = PciAddress.parse("0000:01:00.0")


@pytest.fixture
def bus(tmp_path: Path) -> Path:
    """Who opens its drivers_probe to write waits for a reader, as if a driver held the device's lock."""
    (tmp_path / "devices" / str(DRIVE)).mkdir(parents=True)
    (tmp_path / "devices" / str(DRIVE) / "driver_override").write_text("")
    os.mkfifo(tmp_path / "drivers_probe")
    return tmp_path


def held() -> tuple[list[str], list[int]]:
    """Descriptors and children of this process, in which other tests run too."""
    return os.listdir("/proc/self/fd"), processes_of(os.getpid())


def nothing_is_left(before: tuple[list[str], list[int]]) -> None:
    assert held() == before


def test_a_child_that_comes_too_late_is_killed_and_reaped(bus: Path) -> None:
    before = held()
    with pytest.raises(TimeoutError, match=r"no answer within 0\.05 s"):
        PciDrivers(0.05, bus).probe(DRIVE)
    nothing_is_left(before)


def test_one_that_outlives_its_killing_is_reaped_by_the_next_call(bus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one does that waits in the kernel for a driver: here SIGKILL is not sent, so that it can be let go."""
    sent: list[int] = []
    before, patience = held(), iter((0.05, PATIENCE))
    drivers = PciDrivers(bus=bus, waits=lambda hears, _, whom: wait_for(hears, next(patience)))
    with monkeypatch.context() as patch:
        patch.setattr(os, "kill", lambda pid, _: sent.append(pid))
        with pytest.raises(TimeoutError):
            drivers.probe(DRIVE)
    reader = os.open(bus / "drivers_probe", os.O_RDONLY)
    assert os.read(reader, 64) == str(DRIVE).encode()
    os.close(reader)
    assert os.waitid(os.P_PID, sent[0], os.WEXITED | os.WNOWAIT) is not None
    drivers.set_override(DRIVE, "vfio-pci")
    nothing_is_left(before)


def test_a_child_that_somebody_kills_is_a_refusal(bus: Path) -> None:
    script = (
        "import os, signal, sys, threading\n"
        "from launcher.kernel import sysfs\n"
        "sysfs._write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from launcher.values import PciAddress\n"
        "try: sysfs.PciDrivers(20, sys.argv[1]).probe(PciAddress.parse('0000:01:00.0'))\n"
        "except OSError as error: sys.exit(error.errno)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, bus], check=False, cwd=ROOT, timeout=PATIENCE)
    assert done.returncode == errno.EIO


@pytest.mark.parametrize("name", ["pipe", "fork"])
def test_what_it_takes_to_write_may_be_refused_and_nothing_is_written(
    bus: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    before = held()

    def refuse() -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    with monkeypatch.context() as patch:
        patch.setattr(os, name, refuse)
        with pytest.raises(OSError, match="temporarily unavailable"):
            PciDrivers(20, bus).set_override(DRIVE, "vfio-pci")
    assert (bus / "devices" / str(DRIVE) / "driver_override").read_text() == ""
    nothing_is_left(before)


def test_an_error_of_the_write_is_that_of_the_kernel(bus: Path) -> None:
    before = held()
    (bus / "drivers_probe").unlink()
    with pytest.raises(FileNotFoundError, match="drivers_probe"):
        PciDrivers(20, bus).probe(DRIVE)
    assert signal.getsignal(signal.SIGCHLD) == signal.SIG_DFL
    nothing_is_left(before)
