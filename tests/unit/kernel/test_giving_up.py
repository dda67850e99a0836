"""A keeper that gave up what it does not need: whoever takes it over has nothing else, and its own work goes on."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from launcher.kernel.confine import GIVEN_UP, OF_KEEPERS, OF_RUNNERS, ON
from tests.conftest import PATIENCE, ROOT, ordinary_user

# Its folder, a device whose driver is one of two, a runner that sleeps until it is killed; another process beside them.
BEFORE = """
import ctypes, json, mmap, os, pathlib, shutil, signal, socket, subprocess, sys
from launcher.kernel.real import RealKernel
from launcher.kernel.sysfs import PciDrivers
from launcher.values import PciAddress

libc, number = ctypes.CDLL(None, use_errno=True), ctypes.c_long
root = pathlib.Path(ROOT)
folder, bus, other = root / "vm", root / "bus", root / "other"
one, another = PciAddress.parse("0000:01:00.0"), PciAddress.parse("0000:02:00.0")
for each in (one, another):
    device = root / "devices" / str(each)
    device.mkdir(parents=True)
    (device / "driver_override").write_text("vfio-pci")
    (device / "reset").write_text("")
    (bus / "devices").mkdir(parents=True, exist_ok=True)
    (bus / "devices" / str(each)).symlink_to(device)
for driver in ("vfio-pci", "nvme"):
    (bus / "drivers" / driver).mkdir(parents=True)
    (bus / "drivers" / driver / "unbind").write_text("")
(bus / "devices" / str(one) / "driver").symlink_to(bus / "drivers" / "vfio-pci")
(bus / "devices" / str(another) / "driver").symlink_to(bus / "drivers" / "nvme")
(bus / "drivers_probe").write_text("")
folder.mkdir()
(folder / "old").write_text("old")
other.write_text("secret")
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(str(folder / "control.sock"))
listener.listen()
client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
client.connect(str(folder / "control.sock"))

kernel = RealKernel()
kernel.drivers = PciDrivers(bus=bus)
alive, keeper = os.pipe()  # both end with the keeper

def live():
    os.close(keeper)
    os.read(alive, 1)
    os._exit(0)

stranger = os.fork() or live()
kernel.take_user()
runner = os.fork() or live()
pidfd = os.pidfd_open(runner)
page = mmap.mmap(-1, 4096)
address = ctypes.addressof(ctypes.c_char.from_buffer(page))

def call(*words):
    done = libc.syscall(*map(number, words))
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done

def answer(deed):  # None, or the errno of the refusal
    try:
        deed()
    except OSError as error:
        return error.errno
    return None

devices = [(one, "vfio-pci")] if DEVICES else []
given = kernel.give_up(folder, devices, [], runner, pidfd)
"""
AFTER = """
found = {name: answer(eval(f"lambda: {deed}")) for name, deed in DEEDS.items()}
os.write(1, json.dumps({"pid": os.getpid(), "measures": given.measures, "writable": given.writable,
    "found": found, "uids": os.getresuid()}).encode())
os._exit(0)
"""

ITS_OWN = {
    "the journal, read": "(folder / 'old').read_text()",
    "a draft, then its name": "((folder / '.state').write_text('{}'), (folder / '.state').rename(folder / 'state'))",
    "a file gone": "(folder / 'old').unlink()",
    "what is there": "os.listdir(folder)",
    "its socket gone": "(folder / 'control.sock').unlink()",
    "somebody at the door": "listener.accept()[0].send(b'x')",
    "a process to wait for": "os.waitpid(os.fork() or os._exit(0), 0)",
    "its runner killed": "signal.pidfd_send_signal(pidfd, signal.SIGKILL)",
    "its runner waited for": "os.waitpid(runner, 0)",
}
OF_DRIVERS = {
    "an override": "kernel.drivers.set_override(one, None)",
    "an override, read": "kernel.drivers.override(one)",
    "a driver lets go": "kernel.drivers.unbind(one)",
    "a driver is looked for": "kernel.drivers.probe(one)",
    "where it is": "kernel.drivers.driver(another)",
}
NOT_ITS_OWN = {
    "a file outside": "other.read_text()",
    "a file outside, written": "other.write_text('x')",
    "a new file outside": "(root / 'new').write_text('x')",
    "a file from outside": "other.rename(folder / 'other')",
    "a file to the outside": "(folder / 'old').rename(root / 'old')",
    "a link to the outside, followed": "(folder / 'link').symlink_to(other)",
    "a second name": "os.link(other, folder / 'second')",
    "the folder itself": "shutil.rmtree(folder)",
    "a folder of others": "os.listdir('/etc')",
    "rights of a file": "os.chmod(other, 0o666)",
    "rights by descriptor": "os.fchmod(1, 0o666)",
    "an owner": "os.chown(other, 1, 1)",
    "times": "os.utime(other)",
    "an attribute": "os.setxattr(other, 'user.x', b'x')",
    "another device's override": "(root / 'devices' / str(another) / 'driver_override').write_text('x')",
    "another device's driver": "(bus / 'drivers' / 'nvme' / 'unbind').write_text(str(another))",
    "the device's reset": "(root / 'devices' / str(one) / 'reset').write_text('1')",
    "memory of its runner": "open(f'/proc/{runner}/mem', 'wb')",
    "its own memory by name": "open('/proc/self/mem', 'wb')",
    "a device": "os.open('/dev/kvm', os.O_RDWR)",
    "a program": "os.execv('/bin/true', ['true'])",
    "a program in a child": "subprocess.run(['/bin/true'], check=True)",
    "a program from memory": "os.memfd_create('program')",
    "code in memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "ptrace": "call(101, 16, runner, 0, 0)",
    "memory of others": "call(310, runner, 0, 0, 0, 0, 0)",
    "a module": "call(175, address, 0, address)",
    "a module by descriptor": "call(313, 0, address, 0)",
    "a module gone": "call(176, address, 0)",
    "a socket": "socket.socket()",
    "a connection": "client.connect(str(folder / 'control.sock'))",
    "a mount": "call(165, address, address, address, 0, 0)",
    "a name space": "call(272, 0x10000000)",
    "a child in a name space": "call(56, 0x10000011, 0, 0, 0, 0)",
    "another user": "os.setuid(0)",
    "a key": "call(248, address, address, 0, 0, 0)",
    "bpf": "call(321, 0, address, 0)",
    "io_uring": "call(425, 1, address)",
    "a limit of others": "call(302, stranger, 7, address, 0)",
    "an ioctl": "call(16, listener.fileno(), 0xAE01, 0)",
    "a signal to a stranger": "os.kill(stranger, 0)",
    "a signal to a stranger by descriptor": "signal.pidfd_send_signal(os.pidfd_open(stranger), 0)",
    "a signal to who started it": "os.kill(os.getppid(), 0)",
    "a signal to the first of all": "os.kill(1, 0)",
    "a 32-bit or x32 call": "call(0x40000000 | 39)",
    "a call that there is not yet": "call(1000)",
}


def keeper(deeds: dict[str, str], *, devices: bool, user: list[str] | None = None) -> dict[str, Any]:
    with TemporaryDirectory() as root:
        Path(root).chmod(0o777)
        script = f"DEVICES, DEEDS, ROOT = {devices}, {deeds!r}, {root!r}\n{BEFORE}{AFTER}"
        command = [*(user or []), sys.executable, "-c", script]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@cache
def alone(*, devices: bool = True) -> dict[str, Any]:
    return keeper({}, devices=devices)


def has(measure: str) -> bool:
    return bool(alone()["measures"][measure] == ON)


def who() -> list[Any]:
    """As whom: as we are, and if that is root as somebody who is not."""
    others = [pytest.param(ordinary_user(), id="user")] if os.geteuid() == 0 else []
    return [pytest.param(None, id="as we are"), *others]


def test_every_measure_that_the_kernel_has_is_taken() -> None:
    measures = alone()["measures"]
    assert tuple(measures) == GIVEN_UP
    assert {measures[name] for name in measures.keys() - {"landlock"}} == {ON}
    assert measures["landlock"] in (ON, os.strerror(errno.ENOSYS), os.strerror(errno.EOPNOTSUPP))


@pytest.mark.parametrize("user", who())
@pytest.mark.parametrize("devices", [True, False])
def test_what_it_needs_until_the_host_is_as_it_was_goes_on(devices: bool, user: list[str] | None) -> None:
    deeds = ITS_OWN | (OF_DRIVERS if devices else {})
    assert keeper(deeds, devices=devices, user=user)["found"] == dict.fromkeys(deeds)


@pytest.mark.parametrize("user", who())
@pytest.mark.parametrize("devices", [True, False])
def test_nothing_else_is_left_to_who_takes_it_over(devices: bool, user: list[str] | None) -> None:
    if not has("landlock") or not has("seccomp"):
        pytest.skip("this kernel has not all measures")
    deeds = NOT_ITS_OWN
    if devices and (user or os.geteuid() != 0):  # it ends children that wait for a driver; only root's keeper has any
        deeds = {name: deed for name, deed in deeds.items() if "a signal" not in name}
    found = keeper(deeds, devices=devices, user=user)["found"]
    refused = {errno.EPERM, errno.EACCES, errno.EXDEV}
    assert {name: end for name, end in found.items() if end not in refused} == {}


def test_it_says_where_it_may_still_write() -> None:
    if not has("landlock"):
        pytest.skip("this kernel has no Landlock")
    names = [Path(one).relative_to(Path(alone()["writable"][0]).parent) for one in alone()["writable"]]
    assert list(map(str, names)) == [
        "vm",
        "devices/0000:01:00.0/driver_override",
        "bus/drivers/vfio-pci/unbind",
        "bus/drivers_probe",
    ]
    assert len(alone(devices=False)["writable"]) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root stays who he is")
def test_root_has_two_users_of_its_own_for_keeper_and_runner() -> None:
    pid, uids = alone()["pid"], alone()["uids"]
    assert uids == [OF_KEEPERS + pid, OF_RUNNERS + pid, OF_KEEPERS + pid]
