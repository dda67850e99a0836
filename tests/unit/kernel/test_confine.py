"""A process that shut itself in: each forbidden call ends it or is refused, what a runner needs goes on. For real."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from launcher.kernel.confine import MEASURES, ON
from tests.conftest import PATIENCE, ROOT

BEFORE = """
import ctypes, fcntl, json, mmap, os, socket, threading, time, traceback
from launcher.kernel.confine import confine

libc, number, here = ctypes.CDLL(None, use_errno=True), ctypes.c_long, os.getpid()
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov $20, %eax; int $0x80; ret: getpid, as 32-bit code calls it
address = ctypes.addressof(ctypes.c_char.from_buffer(page))
getpid32 = ctypes.CFUNCTYPE(ctypes.c_int)(address)
event, terminal = os.eventfd(0), os.open("/dev/null", os.O_RDWR)
"""

FORBIDDEN = {
    "another process": "os.fork()",
    "another program": "os.execv('/bin/true', ['true'])",
    "a socket": "socket.socket()",
    "ptrace": "libc.ptrace(16, os.getppid(), 0, 0)",
    "memory of others": "libc.syscall(number(310), os.getppid(), 0, 0, 0, 0, 0)",
    "an ioctl of a terminal": "fcntl.ioctl(terminal, 0x5412, b'x')",
    "code in new memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
    "code in old memory": "libc.mprotect(ctypes.c_void_p(address), number(4096), 5)",
    "a signal to others": "os.kill(os.getppid(), 0)",
    "a signal to threads of others": "libc.syscall(number(234), os.getppid(), os.getppid(), 0)",
    "moving others to another CPU": "os.sched_setaffinity(os.getppid(), {0})",
    "the dumpable flag": "libc.prctl(4, 1, 0, 0, 0)",
    "a name space": "libc.unshare(0x10000000)",
    "a datagram to anybody": "libc.sendto(event, b'', 0, 0, ctypes.create_string_buffer(16), 16)",
    "io_uring": "libc.syscall(number(425), 1, 0)",
    "a limit": "libc.syscall(number(302), 0, 8, 0, 0)",
    "a call of the x32 interface": "libc.syscall(number(0x40000000 | 39))",
    "a call of 32-bit code": "getpid32()",
}

REFUSED = {
    "a file": "open('/etc/hostname')",
    "a new file": "open('/tmp/of-a-confined-process', 'w')",
    "a folder": "os.listdir('/')",
    "a status": "os.stat('/')",
    "a link": "os.readlink('/proc/self/exe')",
    "a device": "os.open('/dev/kvm', os.O_RDWR)",
}

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


def python(words: str, early: str = "") -> subprocess.CompletedProcess[str]:
    """`early` is done before it is confined."""
    command = [sys.executable, "-c", f"{BEFORE}{early}\ndone = confine()\n{words}\nos._exit(0)"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture(scope="module", autouse=True)
def measures() -> dict[str, str]:
    done: dict[str, str] = json.loads(python("print(json.dumps(done), flush=True)").stdout)
    if done["seccomp"] != ON:
        pytest.skip(f"this kernel has no seccomp: {done['seccomp']}")
    return done


def test_every_measure_that_the_kernel_has_is_taken(measures: dict[str, str]) -> None:
    assert list(measures) == list(MEASURES)
    assert {measures[name] for name in measures.keys() - {"landlock"}} == {ON}
    assert measures["landlock"] in (ON, os.strerror(38), os.strerror(95))  # none before Linux 5.13, or switched off


@pytest.mark.parametrize("call", FORBIDDEN.values(), ids=FORBIDDEN)
def test_a_forbidden_call_is_the_end(call: str) -> None:
    done = python(call)
    assert done.returncode == -signal.SIGSYS, done.stderr


@pytest.mark.parametrize("call", REFUSED.values(), ids=REFUSED)
def test_the_file_system_is_gone(call: str) -> None:
    done = python(call)
    assert done.returncode == 1
    assert "PermissionError: [Errno 13]" in done.stderr


def test_what_a_runner_needs_goes_on() -> None:
    done = python(NEEDED)
    assert (done.returncode, done.stderr) == (0, "")
    assert "JSONDecodeError" in done.stdout


def test_a_thread_that_was_there_before_is_confined_as_well() -> None:
    early = (
        "go = threading.Event()\nthread = threading.Thread(target=lambda: go.wait() and os.fork())\nthread.start()\n"
    )
    assert python("go.set()\nthread.join()", early).returncode == -signal.SIGSYS
