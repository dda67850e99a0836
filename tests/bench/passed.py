"""A Linux guest with an NVMe drive -> its reads and interrupts a second, exits, the VMM's memory, its stop."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import suppress
from pathlib import Path

from launcher.kernel.resting import SETTLES, STIRRED
from tests.bench import contenders
from tests.bench.built import Built
from tests.bench.contenders import DEADLINE, NAME, Q35, VMLAUNCH, YAML
from tests.bench.devices import NVME, group_of, to_vfio
from tests.bench.linux import MEBIBYTES, QUIET, Guest
from tests.bench.measure import Figures, Run
from tests.bench.stamps import StampFile, now

SECONDS = 3
DEPTHS = (1, 32)
SAID = r"^reads (\d+) in ([\d.]+) interrupts (\d+)"
MAPPING = re.compile(r"^Size: +(\d+) kB\n.*?^Rss: +(\d+) kB\nPss: +(\d+) kB", re.MULTILINE | re.DOTALL)


def passed(built: Built, folder: Path) -> dict[str, Run]:
    to_vfio(NVME)
    boot = built.linux | {"cmdline": QUIET}
    yaml = contenders.up(folder, boot, 1, MEBIBYTES, devices={"disk": NVME})
    device = ("-cpu", "host", "-device", f"vfio-pci,host={NVME},addr=10.0")
    commands = {YAML: yaml, Q35: contenders.qemu_command("q35", boot, 1, MEBIBYTES, *device)}
    file = StampFile(folder / "stamps", built.stamps)
    return {name: lambda command=command: _life(command, file) for name, command in commands.items()}


def _life(command: list[str], file: StampFile) -> Figures:
    with Guest(command, file) as guest:
        figures: Figures = {"enter": guest.init()["enter"]}
        seen = _exits(guest)
        for depth in DEPTHS:
            seen, more = _reads(guest, depth, seen)
            figures |= more
        figures |= memory_of(guest.processes())
        guest.order("poweroff")
        freed = _freed(group_of(NVME))
        guest.power_off()
        ended, last = now(), guest.stamps().last_return
    return figures | {"stop": (freed - last) * 1000, "end": (ended - last) * 1000}


def _freed(group: str) -> float:
    """When somebody else can have the group: until then the kernel says EBUSY."""
    end = now() + DEADLINE
    while now() < end:
        with suppress(OSError):
            os.close(os.open(f"/dev/vfio/{group}", os.O_RDWR))
            return now()
        time.sleep(0.001)
    raise SystemExit(f"group {group} was never free again")


def _reads(guest: Guest, depth: int, seen: int) -> tuple[int, Figures]:
    """`seen`: exits until now; back come those until then. Of exits those of an order that reads next to nothing are
    not the reads'. Asking for them is work of the host, and not done while the guest's work is timed."""
    few, idle = _order(guest, depth, 0), _exits(guest)
    count, seconds, interrupts = _order(guest, depth, SECONDS)
    figures = {f"reads {depth}": count / seconds, f"interrupts {depth}": interrupts / seconds}
    if not guest.is_ours:
        return 0, figures
    after = _exits(guest)
    extra = (after - idle) - (idle - seen)
    return after, figures | {f"exits {depth}": max(0.0, extra) / (count - few[0])}


def _exits(guest: Guest) -> int:
    return exits() if guest.is_ours else 0


def _order(guest: Guest, depth: int, seconds: int) -> tuple[float, float, float]:
    """Reads, seconds, interrupts."""
    guest.order(f"reads {depth} {seconds}")
    line, _ = guest.until(SAID)
    return float(line[1]), float(line[2]), float(line[3])


def exits() -> int:
    report = json.loads(contenders.run([*VMLAUNCH, "inspect", "--json", NAME]))["report"]
    return sum(vcpu["exits"] for vcpu in report["vcpus"])


def memory_of(processes: list[int], mebibytes: int = MEBIBYTES) -> Figures:
    """MiB of all of them while they wait, without mappings that have the size of the guest's RAM."""
    time.sleep(SETTLES + STIRRED)
    told = "".join(Path(f"/proc/{process}/smaps").read_text() for process in processes)
    mappings = [tuple(map(int, found)) for found in MAPPING.findall(told)]
    beyond = [(rss, pss) for size, rss, pss in mappings if size < mebibytes << 10]
    return {"rss": sum(rss for rss, _ in beyond) / 1024, "pss": sum(pss for _, pss in beyond) / 1024}
