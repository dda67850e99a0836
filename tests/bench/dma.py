"""Guest memory mapped for DMA: by the step of our plan, as the report times it, and by one ioctl of a bare program.

Both by type1, and by iommufd where the kernel has it; by that the bare program attaches a second function, too.
"""

from __future__ import annotations

import json
import subprocess
from functools import partial
from pathlib import Path

from tests.bench import contenders
from tests.bench.built import Built
from tests.bench.contenders import BY_IOMMUFD, ENVIRONMENT, OURS
from tests.bench.devices import E1000E, NVME, group_of, node_of, to_vfio
from tests.bench.measure import Figures, Run
from tests.bench.table import BARE_IOMMUFD, BARE_TYPE1

MEBIBYTES = 1024


def dma(built: Built, folder: Path) -> dict[str, Run]:
    to_vfio(NVME)
    hello = Path(__file__).parent.parent.parent / "examples" / "hello.elf"
    runs: dict[str, Run] = {}
    for backend, bare, ours in (("type1", BARE_TYPE1, OURS), ("iommufd", BARE_IOMMUFD, BY_IOMMUFD)):
        if backend == "iommufd" and not Path("/dev/iommu").exists():
            break
        runs[bare] = partial(_bare, [str(built.vfio), *_words(backend)])
        place = folder / backend
        place.mkdir(exist_ok=True)
        boot = {"kernel": str(hello)}
        runs[ours] = partial(_ours, contenders.up(place, boot, 1, MEBIBYTES, devices={"disk": NVME}, vfio=backend))
    return runs


def _words(backend: str) -> list[str]:
    size = str(MEBIBYTES << 20)
    if backend == "type1":
        return [group_of(NVME), NVME, size]
    to_vfio(E1000E)
    return [node_of(NVME), NVME, size, node_of(E1000E)]


def _bare(command: list[str]) -> Figures:
    seconds = map(float, contenders.run(command).split())
    return {name: one * 1000 for name, one in zip(("ms", "attach"), seconds, strict=False)}


def _ours(command: list[str]) -> Figures:
    """Maps: of RAM, in all containers, against its size."""
    done = subprocess.run(
        [*command, "--json"], env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout.splitlines()[-1])["report"]
    plan = json.loads(contenders.run([*contenders.VMLAUNCH, "plan", command[-1], "--json"]))
    contenders.down()
    (step,) = (one["n"] for one in plan["steps"] if one["op"] == "map-dma")
    mapped = sum(one["ram_bytes"] for one in report["containers"])
    seconds = sum(one["seconds"] for one in report["steps"] if one["n"] == step)
    return {"ms": seconds * 1000, "times": mapped / (MEBIBYTES << 20)}
