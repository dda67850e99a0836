"""One access that leaves the guest: as long as the guest waits, and the part of it that is the VMM's own."""

from __future__ import annotations

import array
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import accumulate
from pathlib import Path
from threading import Event, Thread

from tests.bench import contenders
from tests.bench.built import Built
from tests.bench.contenders import DEADLINE, NAME, OURS, Q35, VMLAUNCH
from tests.bench.devices import RTL8139, group_of, to_vfio
from tests.bench.measure import Figures, Run

KINDS = ("empty", "serial", "bar")  # as handling.c counts them
BUCKETS, WIDTH = 1 << 16, 16  # of its histogram, in ticks
LINE = re.compile(r"ticks (\w+) (\w{8}) (\w{8}) (\w{8})")
MEBIBYTES = 64
QUERY = """
import json, socket, sys
with socket.socket(socket.AF_UNIX) as qmp:
    qmp.connect(sys.argv[1])
    with qmp.makefile("rw") as lines:
        lines.readline()
        for word in ("qmp_capabilities", "query-cpus-fast"):
            print(json.dumps({"execute": word}), file=lines, flush=True)
            print(lines.readline())
"""


def accesses(built: Built, folder: Path, device: bool = False) -> dict[str, Run]:
    """With `device`, also a register of a BAR that is trapped: QEMU would map it, and is told not to."""
    boot, devices, more = {"kernel": str(built.accesses)}, {}, []
    if device:
        to_vfio(RTL8139)
        devices = {"devices": {"card": {"pci": RTL8139, "allow": ["no-reset"]}}}
        more = ["-device", f"vfio-pci,host={RTL8139},addr=10.0,x-no-mmap=on"]
    commands = {
        OURS: contenders.up(folder, boot, 1, MEBIBYTES, **devices),
        Q35: contenders.qemu_command("q35", boot, 1, MEBIBYTES, *more),
    }
    return {name: lambda command=command: _run(command, built, folder, device) for name, command in commands.items()}


def asked(built: Built, folder: Path) -> dict[str, Run]:
    """While somebody asks the VMM how it is, by a process for each question."""
    boot, socket = {"kernel": str(built.million)}, folder / "qmp"
    theirs = contenders.qemu_command("q35", boot, 1, MEBIBYTES, "-qmp", f"unix:{socket},server=on,wait=off")
    inspect, query = [*VMLAUNCH, "inspect", "--json", NAME], [sys.executable, "-c", QUERY, str(socket)]
    return {
        OURS: partial(_asked, contenders.up(folder, boot, 1, MEBIBYTES), inspect, built),
        Q35: partial(_asked, theirs, query, built),
    }


def _asked(command: list[str], question: list[str], built: Built) -> Figures:
    with _asking(question) as answers:
        said = _on_a_terminal(command, contenders.ENVIRONMENT | {"TERM": "xterm"})
    _, *ticks = LINE.findall(said)[0]
    median, tail, longest = (int(one, 16) / built.ticks_a_microsecond for one in ticks)
    return {"median": median, "tail": tail / median, "longest": longest, "answers": len(answers)}


@contextmanager
def _asking(question: list[str]) -> Iterator[list[bytes]]:
    answers: list[bytes] = []
    over = Event()

    def ask() -> None:
        while not over.is_set():
            done = subprocess.run(question, env=contenders.ENVIRONMENT, capture_output=True, check=False)
            if not done.returncode:  # else it is not there yet, or not any more
                answers.append(done.stdout)

    thread = Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


def _run(command: list[str], built: Built, folder: Path, device: bool) -> Figures:
    pread = float(contenders.run([str(built.vfio), group_of(RTL8139), RTL8139])) / 1000 if device else 0.0
    counts = folder / "handling"
    counts.unlink(missing_ok=True)
    more = {"LD_PRELOAD": str(built.handling), "HANDLING": str(counts), "TERM": "xterm"}
    said = _on_a_terminal(command, contenders.ENVIRONMENT | more)
    figures = {"pread": pread} if device else {}
    for kind, *ticks in LINE.findall(said):
        median, tail, longest = (int(one, 16) / built.ticks_a_microsecond for one in ticks)
        own = _median(counts, KINDS.index(kind)) / built.ticks_a_microsecond - (pread if kind == "bar" else 0)
        figures |= {f"{kind} median": median, f"{kind} tail": tail / median, f"{kind} longest": longest}
        figures |= {f"{kind} own": own}
    return figures


def _median(counts: Path, kind: int) -> float:
    """Ticks."""
    histogram = array.array("I", counts.read_bytes())[kind * BUCKETS : (kind + 1) * BUCKETS]
    if not any(histogram):
        raise SystemExit(f"{counts} has nothing on {KINDS[kind]}")
    half = sum(histogram) / 2
    bucket = next(n for n, below in enumerate(accumulate(histogram)) if below >= half)
    return (bucket + 0.5) * WIDTH


def _on_a_terminal(command: list[str], environment: dict[str, str]) -> str:
    """What was said there. QEMU is ended: not each of its machines has the power button of ours."""
    ours, its = pty.openpty()
    process = subprocess.Popen(command, env=environment, stdin=its, stdout=its, stderr=its, start_new_session=True)
    os.close(its)
    is_ours = command[0] == sys.executable
    try:
        said = _hear(ours)
        if is_ours:
            while _read(ours, DEADLINE):
                pass  # or it would wait for us
    finally:
        if not is_ours or process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)
        if is_ours:
            contenders.down()
    return said


def _hear(terminal: int) -> str:
    said, end = "", time.monotonic() + DEADLINE
    while "ticks done" not in said:
        more = _read(terminal, end - time.monotonic())
        if not more:
            raise SystemExit(f"the guest did not measure all; what was said:\n{said}")
        said += more
    return said


def _read(terminal: int, seconds: float) -> str:
    """Empty when time is up, or nobody has it open any more, which the kernel calls EIO."""
    if not select.select([terminal], [], [], max(seconds, 0))[0]:
        return ""
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        return ""
