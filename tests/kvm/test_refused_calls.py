"""A real `up` of which one call is refused once: descriptors, files, memory, processes, threads, sockets, KVM's ioctls.

tests/native/refuse_at.c counts the calls of client, keeper, planner and runner, and refuses the one that it is told.
Whatever it is, it is told in words with a code of ours, and neither process nor folder nor lock is left.
"""

from __future__ import annotations

import ctypes
import errno
import os
import random
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from launcher.vms.folder import StateFolder
from launcher.vms.looking import is_lost, is_up
from tests.conftest import EXAMPLES, PATIENCE, ROOT, Cli

pytestmark = pytest.mark.kvm
NATIVE = ROOT / "tests" / "native"
PROCESSES = ("client", "keeper", "planner", "runner", "other")
SIZE = 4096
PR_SET_CHILD_SUBREAPER = 36
ERRNOS = {
    "open": (errno.EMFILE, errno.ENFILE, errno.ENOMEM),
    "mkdir": (errno.ENOSPC, errno.EROFS, errno.EACCES),
    "rename": (errno.ENOSPC, errno.EIO),
    "unlink": (errno.EROFS, errno.EIO),
    "chmod": (errno.EPERM, errno.EIO),
    "write": (errno.ENOSPC, errno.EIO),
    "pwrite": (errno.ENOSPC, errno.EIO),
    "pread": (errno.EIO,),
    "ftruncate": (errno.EIO,),
    "fdatasync": (errno.EIO, errno.ENOSPC),
    "flock": (errno.ENOLCK,),
    "pipe": (errno.EMFILE, errno.ENFILE),
    "dup": (errno.EMFILE,),
    "poll": (errno.ENOMEM,),
    "socket": (errno.EMFILE, errno.ENOBUFS, errno.EAFNOSUPPORT),
    "socketpair": (errno.EMFILE, errno.ENOBUFS),
    "setsockopt": (errno.ENOMEM, errno.ENOBUFS),
    "bind": (errno.ENOSPC, errno.EACCES),
    "listen": (errno.ENOMEM,),
    "send": (errno.ENOBUFS, errno.ENOMEM),
    "eventfd": (errno.EMFILE, errno.ENOMEM, errno.ENODEV),
    "memfd": (errno.EMFILE, errno.ENOMEM, errno.ENOSYS),
    "pidfd": (errno.EMFILE, errno.ENOSYS, errno.EPERM),
    "fork": (errno.EAGAIN, errno.ENOMEM),
    "thread": (errno.EAGAIN,),
    "mmap": (errno.ENOMEM,),
    "ioctl": (errno.ENOMEM, errno.EMFILE),
    "chdir": (errno.EACCES,),
}
# 0: it was not needed. 74: stdout or stderr could not be written; 141: a pipe was closed.
CODES = (0, 1, 4, 10, 11, 74, 141)
PARTS, SAMPLE = 8, 40


class Call(NamedTuple):
    process: int
    kind: int
    at: int
    error: int

    def __str__(self) -> str:
        kind = tuple(ERRNOS)[self.kind]
        return f"{kind} {self.at} of the {PROCESSES[self.process]}: {errno.errorcode[self.error]}"


class Refusing:
    def __init__(self, cli: Cli, folder: Path) -> None:
        self._library, self._log = folder / "refuse_at.so", folder / "log"
        command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", NATIVE / "refuse_at.c", "-o"]
        subprocess.run([*command, self._library], check=True)
        self._cli, self._spec = cli, cli.spec(EXAMPLES / "hello.elf")
        kinds = (ctypes.c_char * SIZE).in_dll(ctypes.CDLL(str(self._library)), "refuse_kinds").value
        assert kinds.decode().split() == list(ERRNOS)

    def calls(self) -> Iterator[Call]:
        """Of a life in which nothing is refused, with each errno."""
        assert self.up(None).returncode == 0
        numbers = struct.unpack_from(f"{len(PROCESSES) * len(ERRNOS)}I", self._log.read_bytes(), 4)
        for place, most in enumerate(numbers):
            process, kind = divmod(place, len(ERRNOS))
            for error in tuple(ERRNOS.values())[kind]:
                yield from (Call(process, kind, at, error) for at in range(1, most + 1))

    def up(self, call: Call | None) -> subprocess.CompletedProcess[str]:
        self._log.write_bytes(bytes(SIZE))
        more = {"LD_PRELOAD": str(self._library), "REFUSE_LOG": str(self._log), "PYTHONPATH": str(ROOT)}
        order = {"REFUSE": " ".join(map(str, call))} if call else {}
        command = [sys.executable, NATIVE / "refusing.py", "up", self._spec]
        return subprocess.run(
            command, env=os.environ | more | order, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def check(self, call: Call) -> str:
        """How it went, in words."""
        done = self.up(call)
        told = f"{call}: exit code {done.returncode}\n{done.stderr}"
        hit = self._log.read_bytes()[0]
        self._nobody_is_left(told)
        assert "Traceback" not in done.stderr, told
        assert "bug of vmlaunch" not in done.stderr, told
        assert done.returncode in CODES, told
        if done.returncode in (1, 4, 10, 11):
            assert "error[E" in done.stderr, told
        self._nothing_is_held(done.returncode, told)
        return "not reached" if not hit else f"exit code {done.returncode}"

    def _nobody_is_left(self, told: str) -> None:
        """A keeper or runner that never ends would be waited for here."""
        while True:
            try:
                os.waitpid(-1, 0)
            except ChildProcessError:
                return

    def _nothing_is_held(self, code: int, told: str) -> None:
        path = self._cli.state
        assert not is_up(path), told
        assert not is_lost(path), told
        if path.exists():
            assert list(path.iterdir()) or code == 0, told
            with closing(StateFolder.claim(path)) as folder:
                folder.remove()


@pytest.fixture
def refusing(cli: Cli, tmp_path: Path) -> Iterator[Refusing]:
    """Whoever is left behind becomes a child of ours."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield Refusing(cli, tmp_path)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def check_all(refusing: Refusing, calls: list[Call]) -> None:
    seen = Counter(map(refusing.check, calls))
    print(f"{seen.total()} calls refused: {dict(seen)}")
    assert seen["exit code 11"]


def test_a_few_of_all_calls(refusing: Refusing) -> None:
    """Of each kind in each process the last; and some others, from a seed."""
    last = {(one.process, one.kind): one for one in refusing.calls()}
    chance = random.Random(13)
    check_all(refusing, chance.sample(sorted(last.values()), min(SAMPLE, len(last))))


@pytest.mark.long  # a quarter of an hour
@pytest.mark.parametrize("part", range(PARTS))
def test_whichever_call_is_refused(refusing: Refusing, part: int) -> None:
    check_all(refusing, list(refusing.calls())[part::PARTS])
