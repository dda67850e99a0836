"""A process that shut itself in: each forbidden call ends it or is refused, what a runner needs goes on. For real."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import launcher
from launcher.kernel.confine import MEASURES, OF_RUNNERS, ON
from launcher.native import lib
from tests.conftest import PATIENCE, ROOT

BEFORE = """
import ctypes, fcntl, json, mmap, os, queue, resource, select, socket, sys, threading, time, traceback
from launcher.executor.keeper.giving_up import rehearse
from launcher.kernel import confine as room
from launcher.kernel.confine import confine, confine_vcpu

rehearse()
libc, number, here = ctypes.CDLL(None, use_errno=True), ctypes.c_long, os.getpid()
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov $20, %eax; int $0x80; ret: getpid, as 32-bit code calls it
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
getpid32 = ctypes.CFUNCTYPE(ctypes.c_int)(address)
event, terminal = os.eventfd(0), os.open("/dev/null", os.O_RDWR)
one, other = socket.socketpair()

def call(*words):
    if libc.syscall(*map(number, words)) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def answer(deed):  # 0, or the errno of the refusal
    try:
        deed()
    except OSError as error:
        return error.errno
    return 0
"""

FORBIDDEN = {
    "another process": "os.fork()",
    "another program": "os.execv('/bin/true', ['true'])",
    "a socket": "socket.socket()",
    "a descriptor from another process": "one.recvmsg(1, 100)",
    "ptrace": "libc.ptrace(16, os.getppid(), 0, 0)",
    "memory of others": "call(310, os.getppid(), 0, 0, 0, 0, 0)",
    "an ioctl that types on a terminal": "fcntl.ioctl(terminal, 0x5412, b'x')",
    "code in new memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "code in old memory": "libc.mprotect(ctypes.c_void_p(address), number(4096), 5)",
    "a signal to others": "os.kill(os.getppid(), 0)",
    "a signal to threads of others": "call(234, os.getppid(), os.getppid(), 0)",
    "moving others to another CPU": "os.sched_setaffinity(os.getppid(), {0})",
    "the dumpable flag": "libc.prctl(4, 1, 0, 0, 0)",
    "a name space": "libc.unshare(0x10000000)",
    "a datagram to anybody": "libc.sendto(event, b'', 0, 0, ctypes.create_string_buffer(16), 16)",
    "io_uring": "call(425, 1, 0)",
    "a limit": "call(302, 0, 8, address, 0)",
    "another user": "os.setuid(os.getuid())",
    "a filter without protection from speculation": "call(317, 1, 4, 0)",
    "a call of the x32 interface": "call(0x40000000 | 39)",
    "a call of 32-bit code": "getpid32()",
    "a call that there is not yet": "call(1000)",
}

FILES = {
    "a file": "open('/etc/hostname')",
    "a new file": "open('/tmp/of-a-confined-process', 'w')",
    "a folder": "os.listdir('/')",
    "a status": "os.stat('/')",
    "a link": "os.readlink('/proc/self/exe')",
    "a device": "os.open('/dev/kvm', os.O_RDWR)",
    "access": "os.access('/', 4) or open('/')",
    "the folder that it is in": "os.getcwd()",
}

# What Python and libc try by themselves.
ASKED = {
    "is it a terminal": "call(16, 2, 0x5401, address)",
    "is it a terminal, as glibc 2.42 asks": "call(16, 2, 0x802C542A, address)",
    "how wide is it": "os.get_terminal_size(2)",
    "status of a descriptor": "os.fstat(2)",
    "another descriptor": "os.dup(2)",
    "flags of a descriptor": "fcntl.fcntl(2, fcntl.F_GETFL)",
    "close at an exec": "os.set_inheritable(2, False)",
    "statx": "call(332, 2, address, 0x1000, 0xFFF, address)",
    "a limit": "resource.getrlimit(resource.RLIMIT_STACK)",
    "a limit, as glibc asks": "call(302, 0, 7, 0, address)",
    "the name of the kernel": "os.uname()",
    "a name for memory": "call(157, 0x53564D41, 0, address, 4096, 0)",
    "the thread's name": "call(157, 16, address, 0, 0, 0)",
    "times": "resource.getrusage(resource.RUSAGE_SELF)",
    "clone3": "call(435, address, 0)",
}

REFUSALS = (errno.EACCES, errno.ENOTTY, errno.EINVAL, errno.ENOSYS)

NEEDED = """
def work():
    os.eventfd_write(event, 1)
    time.sleep(0.001)
crew = [threading.Thread(target=work) for _ in range(8)]
for one in crew: one.start()
for one in crew: one.join()
assert os.eventfd_read(event) == 8
big = [bytes(1 << 22) for _ in range(20)]
new = mmap.mmap(-1, 1 << 20)
os.sched_setaffinity(0, os.sched_getaffinity(0))
try:
    json.loads("{")
except ValueError:
    os.write(1, traceback.format_exc().encode())
"""

TELLING = """
def stumble(): {}["ä"]
thread = threading.Thread(target=stumble)
thread.start()
thread.join()
os.write(2, b"and ")
print("printed", file=sys.stderr, flush=True)
stumble()
"""


def python(words: str, early: str = "", shut: str = "done = confine()") -> subprocess.CompletedProcess[str]:
    """`early` is done before it is confined."""
    command = [sys.executable, "-c", f"{BEFORE}{early}\n{shut}\n{words}\nos._exit(0)"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)


@cache
def measures() -> dict[str, str]:
    return dict(json.loads(python("print(json.dumps(done), flush=True)").stdout))


@pytest.fixture(scope="module", autouse=True)
def only_with_seccomp() -> None:
    if measures()["seccomp"] != ON:
        pytest.skip(f"this kernel has no seccomp: {measures()['seccomp']}")


def test_every_measure_that_the_kernel_has_is_taken() -> None:
    assert tuple(measures()) == MEASURES
    assert {measures()[name] for name in measures().keys() - {"landlock"}} == {ON}
    assert measures()["landlock"] in (ON, os.strerror(38), os.strerror(95))  # none before Linux 5.13, or switched off


@pytest.mark.parametrize("call", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_forbidden_call_is_the_end(call: str) -> None:
    done = python(call)
    assert done.returncode == -signal.SIGSYS, done.stderr


@pytest.mark.parametrize("call", FILES.values(), ids=FILES)
def test_the_file_system_is_gone(call: str) -> None:
    done = python(call)
    assert done.returncode == 1
    assert "PermissionError: [Errno 13]" in done.stderr


@pytest.mark.parametrize("call", ASKED.values(), ids=ASKED)
def test_what_python_and_libc_ask_by_themselves_is_refused(call: str) -> None:
    for shut in ("confine()", "confine(); confine_vcpu(devices=False)"):
        done = python(f"os._exit(answer(lambda: {call}))", shut=shut)
        assert done.returncode in REFUSALS, done.stderr


def test_what_a_runner_needs_goes_on() -> None:
    done = python(NEEDED)
    assert (done.returncode, done.stderr) == (0, "")
    assert "JSONDecodeError" in done.stdout


def test_an_exception_is_told_in_every_way_that_python_has() -> None:
    done = python(TELLING)
    assert done.returncode == 1
    assert done.stderr.count("KeyError: 'ä'") == 2
    assert "and printed" in done.stderr


def test_a_thread_that_was_there_before_is_confined_as_well() -> None:
    early = (
        "go = threading.Event()\nthread = threading.Thread(target=lambda: go.wait() and os.fork())\nthread.start()\n"
    )
    assert python("go.set()\nthread.join()", early).returncode == -signal.SIGSYS


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root stays who he is")
def test_root_becomes_a_user_that_is_nobody_else() -> None:
    words = """
room._leave_root(room._own_user(), room._own_user(), files=False)
os.write(1, json.dumps([here, *os.getresuid(), *os.getresgid(), os.getgroups()]).encode())"""
    done = python(words, shut="")
    pid, *ids, groups = json.loads(done.stdout)
    assert set(ids) == {OF_RUNNERS + pid}
    assert groups == []


# ---- vCPU threads ----

ON_A_THREAD = """
other.send(b"x")
said = queue.SimpleQueue()
def work():
    confine_vcpu(devices={devices})
    said.put(answer(lambda: {call}))
threading.Thread(target=work).start()
os._exit(said.get())
"""

MAIN_ONLY = {
    "a thread": "threading.Thread(target=print).start()",
    "a word to the keeper": "one.send(b'x')",
    "a word from the keeper": "one.recv(1)",
    "where a file ends": "os.lseek(terminal, 0, 2)",
    "another CPU": "os.sched_setaffinity(0, {0})",
    "a signal to its process": "call(234, here, here, 0)",
    "a handler": "libc.signal(10, number(1))",
}
WITH_DEVICES = {
    "a vector": "os.close(os.eventfd(0))",
    "a trapped access": "os.pread(terminal, 4, 0)",
    "a trapped write": "os.pwrite(terminal, b'abcd', 0)",
    "which fired": "select.poll().poll(0)",
}
ALWAYS = {
    "waking another": "os.eventfd_write(event, 1)",
    "a moment": "time.sleep(0.001)",
    "memory": "[bytes(1 << 22) for _ in range(20)]",
}


def on_a_thread(call: str, *, devices: bool) -> int:
    return python(ON_A_THREAD.format(call=call, devices=devices)).returncode


@pytest.mark.parametrize("call", MAIN_ONLY.values(), ids=MAIN_ONLY)
def test_what_the_main_thread_does_a_vcpu_does_not(call: str) -> None:
    assert python(call, "other.send(b'x')\n").returncode == 0
    assert on_a_thread(call, devices=True) == -signal.SIGSYS


@pytest.mark.parametrize("call", WITH_DEVICES.values(), ids=WITH_DEVICES)
def test_a_vcpu_without_devices_does_nothing_of_what_devices_take(call: str) -> None:
    assert on_a_thread(call, devices=True) == 0
    assert on_a_thread(call, devices=False) == -signal.SIGSYS


@pytest.mark.parametrize("call", ALWAYS.values(), ids=ALWAYS)
def test_what_a_vcpu_needs_goes_on(call: str) -> None:
    assert on_a_thread(call, devices=False) == 0


# ---- ioctls ----

# Only before the runner is shut in.
SET_UP = {
    "KVM_GET_API_VERSION", "VFIO_GET_API_VERSION", "VFIO_CHECK_EXTENSION", "VFIO_SET_IOMMU", "VFIO_IOMMU_GET_INFO",
    "VFIO_GROUP_SET_CONTAINER", "VFIO_DEVICE_BIND_IOMMUFD", "VFIO_DEVICE_ATTACH_IOMMUFD_PT",
    "VFIO_DEVICE_FEATURE", "IOMMU_OPTION", "IOMMU_IOAS_ALLOC", "IOMMU_IOAS_IOVA_RANGES", "IOMMU_IOAS_MAP",
    "TUNSETIFF", "TUNSETVNETHDRSZ", "VHOST_SET_OWNER", "VHOST_GET_FEATURES", "VHOST_VSOCK_SET_GUEST_CID",
}  # fmt: skip
OF_C = {
    "KVM_RUN": 0xAE80,
    "KVM_IRQ_LINE": 0x4008AE61,
    "KVM_GET_MP_STATE": 0x8004AE98,
    "KVM_REGISTER_COALESCED_MMIO": 0x4010AE67,
}  # include/uapi/linux/kvm.h
HOUSE = Path(launcher.__file__).parent


def tables() -> dict[str, set[str]]:
    """The ioctls of each table in calls.c."""
    text = (HOUSE / "native" / "calls.c").read_text()
    found = re.findall(r"struct rule (of_\w+)\[\] = \{(.*?)\n\};", text, re.DOTALL)
    return {name: set(re.findall(r"IOCTL\(((?:KVM|VFIO|IOMMU|VHOST|TUN)\w+)\)", body)) for name, body in found}


def number_of(name: str) -> int:
    return OF_C.get(name) or int(getattr(lib, name))


def answers(shut: str, requests: list[int]) -> dict[int, int]:
    """How a process that shut itself in ends after each of these ioctls: its errno, or a signal."""
    script = f"""
results = []
for request in {requests}:
    pid = os.fork()
    if pid == 0:
        {shut}
        libc.ioctl(-1, ctypes.c_ulong(request), 0)
        os._exit(ctypes.get_errno())
    results.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
os.write(1, json.dumps(results).encode())
"""
    done = python(script, shut="")
    return dict(zip(requests, json.loads(done.stdout), strict=True))


def test_every_ioctl_of_the_house_is_for_set_up_only_or_in_one_table() -> None:
    texts = [path.read_text() for path in (HOUSE / "kernel").glob("*.py")]
    used = set(
        re.findall(r"(?:ioctl|\bask|_state|_file)\([^\n]*\"((?:KVM|VFIO|IOMMU|VHOST|TUN)\w+)\"", "\n".join(texts))
    )
    c = [path.read_text() for path in (HOUSE / "native").glob("*.c") if path.name not in ("_native.c", "calls.c")]
    used |= set(re.findall(r"\bioctl\([^,]+, ((?:KVM|VFIO|IOMMU|VHOST|TUN)\w+)", "\n".join(c)))
    listed = [name for names in tables().values() for name in names]
    assert len(listed) == len(set(listed))
    assert used - set(listed) == SET_UP
    assert set(listed) - used == set()


@pytest.mark.parametrize(
    ("shut", "whose"),
    [
        ("confine()", ("of_vcpus", "of_devices", "of_runners")),
        ("confine(); confine_vcpu(devices=True)", ("of_vcpus", "of_devices")),
        ("confine(); confine_vcpu(devices=False)", ("of_vcpus",)),
        ("confine(virtio=True)", ("of_vcpus", "of_devices", "of_virtio", "of_runners")),
        ("confine(virtio=True); confine_vcpu(devices=False, virtio=True)", ("of_vcpus", "of_devices", "of_virtio")),
        ("confine(virtio=True); confine_vcpu(devices=True)", ("of_vcpus", "of_devices")),
    ],
    ids=["runner", "vCPU with devices", "vCPU", "runner with virtio", "vCPU with virtio", "vCPU without virtio"],
)
def test_ioctls_of_kvm_and_vfio_are_allowed_by_number(shut: str, whose: tuple[str, ...]) -> None:
    names = tables()
    allowed = {number_of(name) for one in whose for name in names[one]}
    every = {number_of(name) for one in names.values() for name in one}
    numbers = [kind << 8 | n for kind in (0xAE, ord(";"), 0xAF) for n in range(256)]
    sizes = [one ^ 1 << 16 for one in every]  # the same with another size of its argument
    found = answers(shut, sorted({*numbers, *sizes, *every}))
    bad_descriptor = {request for request, end in found.items() if end == 9}
    assert bad_descriptor == allowed
    assert {end for request, end in found.items() if request not in allowed} == {-signal.SIGSYS}
