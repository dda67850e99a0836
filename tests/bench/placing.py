"""`vmlaunch place` on growing numbers of hosts: the whole command, its processes, and the largest of them.

The hosts are recorded ones under names of their own, as `devices --json` writes them, in a folder.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from launcher.codec import encode
from launcher.record import replace
from tests.bench.built import Built
from tests.bench.measure import Figures, Run
from tests.elves import pvh
from tests.planning import host

SIZES = (1_000, 3_000, 10_000)
MIXED = ("gpu-server", "gpu07", "laptop", "gpu-server", "gpu07", "lab-zoo", "gpu-server", "cloud-vm", "gpu07", "no-kvm")
SPEC = """\
boot: {kernel: ./bzImage}
cpus: 4
memory: 8GiB
devices: {gpu: {match: {id: 10de:2684}, pick: free, companions: attach}}
"""
_MIB = 1024  # of ru_maxrss


def size_name(hosts: int) -> str:
    return f"{hosts:,} hosts"


def hosts(built: Built, folder: Path) -> dict[str, Run]:
    (folder / "bzImage").write_bytes(pvh())
    (folder / "vm.yaml").write_text(SPEC)
    return {size_name(size): _run(folder, size) for size in SIZES}


def _run(folder: Path, size: int) -> Run:
    site = folder / f"hosts-{size}"
    site.mkdir()
    texts = [json.dumps(encode(replace(host(name), name="NAME")), indent=1) for name in MIXED]
    for number in range(size):
        text = texts[number % len(texts)].replace('"NAME"', f'"host{number:05}"', 1)
        (site / f"host{number:05}.json").write_text(text)

    def run() -> Figures:
        began = time.perf_counter()
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "launcher", "place", str(folder / "vm.yaml"), str(site)],
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
        )
        _, status, used = os.wait4(pid, 0)
        assert status == 0  # some of them can run it
        return {"seconds": time.perf_counter() - began, "memory": used.ru_maxrss / _MIB}

    return run
