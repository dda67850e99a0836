"""Guest memory on the host, for real."""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import re
import time
from contextlib import closing, suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from launcher.kernel import threads
from launcher.kernel.memory import HostMemory
from launcher.native import ffi, lib
from launcher.values import MIB
from tests.name_spaces import needs_name_spaces
from tests.others import as_evil, needs_root


def locked_in(name: str) -> int:
    line = next(one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(name))
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("page_size", [0, 4096])
@pytest.mark.parametrize("threads", [1, 3])
def test_populated_memory_is_resident_and_given_back(page_size: int, threads: int) -> None:
    before = locked_in("VmRSS")
    memory = HostMemory(96 * MIB, page_size, None)
    seen: list[int] = []
    memory.populate(threads, seen.append)
    assert seen[-1] == 96 * MIB
    assert locked_in("VmRSS") - before > 90 * MIB
    memory.close()
    assert locked_in("VmRSS") - before < 20 * MIB


def test_what_is_written_can_be_read_and_nothing_outside_it() -> None:
    memory = HostMemory(2 * MIB, 0, None)
    memory.write(2 * MIB - 3, b"end")
    assert memory.read(2 * MIB - 3, 3) == b"end"
    assert memory.read(0, 4) == b"\0\0\0\0"
    for offset in (-1, 2 * MIB - 2):
        with pytest.raises(ValueError, match="not inside"):
            memory.write(offset, b"end")
    memory.close()


def test_huge_pages_that_are_not_there_are_refused_at_once() -> None:
    with pytest.raises(OSError, match="mmap") as error:
        HostMemory(1 << 50, 2 * MIB, None)
    assert error.value.errno == errno.ENOMEM


def test_it_can_be_closed_twice() -> None:
    memory = HostMemory(2 * MIB, 0, None)
    memory.close()
    memory.close()


@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_host_without_threads_populates_with_those_it_has_or_refuses(
    monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """The memory may be given back at once: nobody writes to it any more."""
    started: list[object] = []
    really = threads.start_new_thread

    def start(*given: Any) -> None:
        if len(started) == most:
            raise RuntimeError("can't start new thread")
        started.append(given)
        really(*given)

    monkeypatch.setattr(threads, "start_new_thread", start)
    memory, seen = HostMemory(256 * MIB, 4096, None), [0]
    if most:
        memory.populate(4, seen.append)
        assert seen[-1] == 256 * MIB
    else:
        with pytest.raises(BlockingIOError, match="pthread_create"):
            memory.populate(4, seen.append)
    memory.close()


def test_nobody_populates_before_all_threads_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who populates holds up the kernel's calls that give another its stack."""
    memory, seen = HostMemory(256 * MIB, 0, None), [0]
    really, resident = threads.start_new_thread, list[int]()
    before = locked_in("VmRSS")

    def start(*given: Any) -> None:
        really(*given)
        time.sleep(0.05)
        resident.append(locked_in("VmRSS") - before)

    monkeypatch.setattr(threads, "start_new_thread", start)
    memory.populate(3, seen.append)
    assert len(resident) == 3
    assert max(resident) < 60 * MIB
    assert seen[-1] == 256 * MIB
    memory.close()


def shared(size: int, page_size: int = 0) -> HostMemory:
    return HostMemory(size, page_size, None, shared=True)


def test_shared_memory_is_a_file_that_others_map() -> None:
    with closing(shared(4 * MIB)) as memory:
        memory.populate(1, lambda done: None)
        memory.write(MIB, b"from here")
        assert memory.file is not None
        with mmap.mmap(memory.file, 4 * MIB) as theirs:
            assert theirs[MIB : MIB + 9] == b"from here"
            theirs[0:10] = b"from there"
        assert memory.read(0, 10) == b"from there"
        assert memory.address % (2 * MIB) == 0
        file = memory.file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(file)


def test_nobody_who_has_its_file_can_take_shared_memory_away() -> None:
    """A page that is gone would end the process which touches it, by SIGBUS."""
    with closing(shared(2 * MIB)) as memory:
        assert memory.file is not None
        for size in (0, 4 * MIB):
            with pytest.raises(PermissionError):
                os.ftruncate(memory.file, size)
        with pytest.raises(PermissionError):
            fcntl.fcntl(memory.file, fcntl.F_ADD_SEALS, 0)


def test_nobody_who_has_its_file_can_execute_it() -> None:
    """An engine that was taken over could make a program of what its guest has put there. Since Linux 6.3."""
    release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    if release < (6, 3):
        pytest.skip("the kernel has no MFD_NOEXEC_SEAL")
    with closing(shared(2 * MIB)) as memory:
        assert memory.file is not None
        assert not os.fstat(memory.file).st_mode & 0o111
        with pytest.raises(PermissionError):
            os.fchmod(memory.file, 0o700)


def test_shared_memory_has_huge_pages_without_a_setting_of_the_host() -> None:
    """MADV_COLLAPSE, since Linux 6.1."""
    release = tuple(int(part) for part in re.findall(r"\d+", os.uname().release)[:2])
    if release < (6, 1) or not Path("/sys/kernel/mm/transparent_hugepage").exists():
        pytest.skip("the kernel has no MADV_COLLAPSE")
    with closing(shared(32 * MIB)) as memory:
        memory.populate(2, lambda done: None)
        assert huge_pages(memory) > 0  # as many as there are to be had


def late(size: int) -> HostMemory:
    return HostMemory(size, 0, None, shared=True, late=True)


@needs_name_spaces
def test_what_is_touched_late_of_shared_memory_is_huge_from_the_first_touch() -> None:
    with closing(late(31 * MIB)) as memory:
        assert memory.file is not None
        with mmap.mmap(memory.file, 31 * MIB) as theirs:
            theirs[4 * MIB] = 1
            memory.write(10 * MIB, b"x")
            memory.write(31 * MIB - 1, b"x")  # what is left over is no whole huge page
            assert theirs[10 * MIB : 10 * MIB + 2] == b"x\0"
        assert huge_pages(memory) == 2 * MIB  # the other has been touched elsewhere
        assert memory.read(4 * MIB, 2) == b"\1\0"


@needs_name_spaces
@needs_root
def test_a_user_has_it_too_and_stays_outside_of_the_name_spaces_it_is_made_in() -> None:
    def deed() -> None:
        lib.kernel_prctl(lib.PR_SET_DUMPABLE, 1)  # as a program is that this user has started
        names = {name: os.readlink(f"/proc/self/ns/{name}") for name in ("user", "mnt")}
        with closing(late(16 * MIB)) as memory:
            memory.write(6 * MIB, b"x")
            if huge_pages(memory) != 2 * MIB or names != {name: os.readlink(f"/proc/self/ns/{name}") for name in names}:
                raise OSError

    assert as_evil(deed)


def test_its_file_system_is_seen_by_nobody_and_executes_nothing() -> None:
    before = Path("/proc/self/mountinfo").read_text()
    with closing(late(4 * MIB)) as memory:
        assert memory.file is not None
        assert Path("/proc/self/mountinfo").read_text() == before
        with suppress(PermissionError):
            os.fchmod(memory.file, 0o700)
        with pytest.raises(PermissionError):
            os.execve(memory.file, ["guest"], {})


def huge_pages(memory: HostMemory) -> int:
    """Bytes of it that are mapped by huge pages (/proc/self/smaps)."""
    areas = re.split(r"(?m)^(?=[0-9a-f]+-[0-9a-f]+ )", Path("/proc/self/smaps").read_text())
    mine = next(one for one in areas if one.startswith(f"{memory.address:x}-"))
    return int(re.findall(r"ShmemPmdMapped: +(\d+) kB", mine)[0]) << 10


def rest() -> None:
    assert lib.memory_rest(ffi.NULL, 0, 0) == 0


def test_what_was_freed_is_the_hosts_again() -> None:
    size = 20 * MIB
    bytearray(24 * MIB)  # from now on malloc keeps blocks of this size for the next (mallopt(3), M_MMAP_THRESHOLD)
    block = bytearray(b"x" * size)
    del block
    before = locked_in("VmRSS")
    rest()
    assert locked_in("VmRSS") < before - size // 2


def test_code_that_ran_once_is_not_mapped_for_good() -> None:
    """What runs on comes back by itself."""
    assert Decimal(2).sqrt() < 2
    before = locked_in("RssFile")
    rest()
    assert locked_in("RssFile") < before
    assert Decimal(2).sqrt() < 2
