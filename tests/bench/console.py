"""A boot that says all it does -> how long it takes, what its characters cost the VMM's own threads, calls of write."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tests.bench.built import Built
from tests.bench.linux import Guest, two
from tests.bench.measure import Figures, Run
from tests.bench.stamps import StampFile, now

VERBOSE = "console=ttyS0 loglevel=8 initcall_debug panic=-1"
CALLS = "write,writev,pwrite64,sendto,sendmsg"
TOTAL = re.compile(r"^\s*[\d.]+ +[\d.]+ +\d+ +(\d+) .*(?:\d+ )?(?:" + CALLS.replace(",", "|") + r")$", re.MULTILINE)


def console(built: Built, folder: Path, cmdline: str = VERBOSE) -> dict[str, Run]:
    file = StampFile(folder / "stamps", built.stamps)
    commands = two(folder, built.linux, 1, cmdline)
    return {name: lambda command=command: _boot(command, file) for name, command in commands.items()}


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


def _boot(command: list[str], file: StampFile) -> Figures:
    with Guest(command, file) as guest:
        began = guest.begun()
        before = _threads(guest.processes())
        _, said = guest.until("init at")
        seconds, after = now() - began, _threads(guest.processes())
    spent = [_since(before, name, thread) for name, thread in after.items() if not thread.is_vcpu]
    cpu = sum(one.cpu for one in spent)
    return {
        "characters": len(said),
        "seconds": seconds,
        "cpu": cpu,
        "handling": 100 * cpu / seconds,
        "wakeups": sum(one.wakeups for one in spent) / len(said),
    }


@dataclass(frozen=True, slots=True)
class Thread:
    """Seconds that it ran, how often it was woken, whether it ever ran a guest."""

    cpu: float = 0
    wakeups: int = 0
    is_vcpu: bool = False


def _since(before: dict[str, Thread], name: str, thread: Thread) -> Thread:
    then = before.get(name, Thread())
    return Thread(thread.cpu - then.cpu, thread.wakeups - then.wakeups)


def _threads(processes: list[int]) -> dict[str, Thread]:
    """By number."""
    return {task.name: _thread(task) for process in processes for task in Path(f"/proc/{process}/task").iterdir()}


def _thread(task: Path) -> Thread:
    guest_time = int((task / "stat").read_text().rpartition(")")[2].split()[40])  # proc(5), field 43
    ran = int((task / "schedstat").read_text().split()[0]) / 1e9
    switches = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", (task / "status").read_text(), re.MULTILINE)
    return Thread(ran, int(switches[1]) if switches else 0, guest_time > 0)
