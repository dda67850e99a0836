"""A boot that says all it does -> how long it takes, what its characters cost the VMM, calls of write."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from tests.bench.built import Built
from tests.bench.linux import Guest, two
from tests.bench.measure import Figures, Run
from tests.bench.stamps import StampFile, now

VERBOSE = "console=ttyS0 loglevel=8 initcall_debug panic=-1"
CALLS = "write,writev,pwrite64,sendto,sendmsg"
TICKS = os.sysconf("SC_CLK_TCK")
TOTAL = re.compile(r"^\s*[\d.]+ +[\d.]+ +\d+ +(\d+) .*(?:\d+ )?(?:" + CALLS.replace(",", "|") + r")$", re.MULTILINE)


def console(built: Built, folder: Path) -> dict[str, Run]:
    file = StampFile(folder / "stamps", built.stamps)
    commands = two(folder, built.linux, 1, VERBOSE)
    return {name: lambda command=command: _verbose(command, file) for name, command in commands.items()}


def calls(built: Built, folder: Path) -> dict[str, Run]:
    """Not timed: strace stops whoever makes one."""
    log = folder / "strace"
    strace = ["strace", "-f", "--seccomp-bpf", "-c", "-e", f"trace={CALLS}", "-o", str(log)]
    commands = two(folder, built.linux, 1, VERBOSE)
    return {name: lambda command=command: _counted([*strace, *command], log) for name, command in commands.items()}


def _counted(command: list[str], log: Path) -> Figures:
    with Guest(command) as guest:
        _, said = guest.until("init at")
    return {"characters": len(said), "calls": sum(map(int, TOTAL.findall(log.read_text()))) / len(said)}


def _verbose(command: list[str], file: StampFile) -> Figures:
    with Guest(command, file) as guest:
        while not (began := guest.stamps().first_run):
            time.sleep(0.001)
        before = _work(guest.processes())
        _, said = guest.until("init at")
        seconds, after = now() - began, _work(guest.processes())
    vcpu, others = (100 * spent / seconds for spent in (after.vcpu - before.vcpu, after.others - before.others))
    return {
        "characters": len(said),
        "seconds": seconds,
        "handling": vcpu + others,
        "vcpu": vcpu,
        "others": others,
        "wakeups": (after.wakeups - before.wakeups) / len(said),
    }


@dataclass(frozen=True, slots=True)
class Work:
    """Seconds of the vCPU's thread in user mode outside the guest; of all other threads, and how often they woke."""

    vcpu: float = 0
    others: float = 0
    wakeups: int = 0


def _work(processes: list[int]) -> Work:
    threads = [thread for process in processes for thread in Path(f"/proc/{process}/task").iterdir()]
    parts = [_of_thread(thread) for thread in threads]
    return Work(*(sum(getattr(part, name) for part in parts) for name in ("vcpu", "others", "wakeups")))


def _of_thread(thread: Path) -> Work:
    fields = (thread / "stat").read_text().rpartition(")")[2].split()
    user, guest = int(fields[11]), int(fields[40])  # proc(5): utime, which has guest_time in it
    if guest:
        return Work(vcpu=(user - guest) / TICKS)
    ran = int((thread / "schedstat").read_text().split()[0]) / 1e9
    switches = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", (thread / "status").read_text(), re.MULTILINE)
    return Work(others=ran, wakeups=int(switches[1]) if switches else 0)
