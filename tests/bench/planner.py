"""Facts, plans and specs of growing size: how long each takes. `python -m tests.bench.planner`, on one core.

Facts: a facts file read from memory, as `--host` reads it. Plan: a spec of 16 devices, with the facts loaded. Specs:
generated ones with five devices, from parsed YAML (a dict) and from their text.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launcher.api.hosts import recorded_host
from launcher.codec import encode
from launcher.host.facts import HostFacts
from launcher.plan.plan import SpecIdentity
from launcher.planner.make import make_plan
from launcher.spec.load import load_spec
from launcher.spec.model import VmSpec
from launcher.spec.yaml_tree import read_tree
from tests.generators.hosts import many_functions
from tests.planning import FILES

DEVICES, SPECS = 16, 200
GOALS = {"read": "1,000 ms", "plan": "500 ms", "dict": "1,000 a second", "text": "250 a second"}


def spec_of(facts: HostFacts) -> str:
    """By address, by number of a virtual function, by properties, and the lowest that is free."""
    virtual = [one for one in facts.pci if one.physical_function]
    card = next(one for one in facts.pci if len(one.virtual_functions) > DEVICES)
    some = virtual[DEVICES :: len(virtual) // DEVICES]
    devices: dict[str, Any] = {f"address{n}": str(one.address) for n, one in enumerate(some[:8])}
    devices |= {f"number{n}": {"pci": str(card.address), "vf": n} for n in range(4)}
    devices |= {f"serial{n}": {"match": {"serial": one.serial}} for n, one in enumerate(some[8:10])}
    devices |= {f"free{n}": {"match": {"id": "15b3:101e"}, "pick": "free"} for n in range(2)}
    return json.dumps({"boot": {"kernel": "./k"}, "cpus": 4, "memory": "8GiB", "devices": devices})


def small_spec(n: int) -> str:
    return f"""\
name: vm-{n}
boot: {{kernel: ./bzImage, initrd: ./initrd.img, cmdline: console=ttyS0 root=/dev/nvme0n1p2 ro}}
cpus: {{count: 8, pin: 8-15}}
memory:
  - {{size: 32GiB, pages: 1GiB, node: 1}}
  - {{size: 32GiB, pages: 1GiB, node: 1, at: 0x1000000000}}
devices:
  disk: 0000:02:00.0
  gpu:
    pci: 0000:c1:00.0
    expect: 10de:2684
    companions: attach
    allow: [no-reset]
  nic: {{pci: 0000:3b:00.0, vf: {n}}}
  scratch:
    match: {{class: nvme, serial: S4EWNX0R{n:06}}}
  worker:
    match: {{id: 10de:2684, slot: "7", node: 1}}
    pick: free
"""


def seconds(work: Callable[[], object], rounds: int) -> float:
    """The median."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def row(what: str, size: int, took: float, per: str, goal: str = "") -> None:
    line = f"  {what:34}{size:>9,}{took * 1000:12.1f}{took / size * 1e6:12.2f} {per:14}  {goal}"
    print(line.rstrip(), flush=True)


def measure_host(size: int, rounds: int, folder: Path) -> None:
    path, goals = folder / f"{size}.json", GOALS if size == 10_000 else {}
    path.write_text(json.dumps(encode(many_functions(size))))
    took = seconds(lambda: recorded_host(str(path)), rounds)
    row(f"read a facts file of {path.stat().st_size / 1e6:.1f} MB", size, took, "us a function", goals.get("read", ""))
    facts = recorded_host(str(path))
    loaded = load_spec(spec_of(facts), "vm.yaml", name="vm")
    source = SpecIdentity("vm.yaml", loaded.sha256, loaded.spec.model_dump(mode="json", by_alias=True))
    took = seconds(lambda: make_plan(loaded.spec, source, facts, FILES, loaded.places.where), rounds)
    row(f"plan {len(loaded.spec.devices)} devices", size, took, "us a function", goals.get("plan", ""))


def measure_specs(rounds: int) -> None:
    texts = [small_spec(n) for n in range(SPECS)]
    roots = [read_tree(text, "vm.yaml").root for text in texts]
    plain = [root.plain() for root in roots if root]
    works = {"dict": lambda: [VmSpec.model_validate(one) for one in plain]}
    works["text"] = lambda: [load_spec(one, "vm.yaml") for one in texts]
    for name, work in works.items():
        took = seconds(work, rounds)
        row(f"validate specs, from {name}", SPECS, took, "us a spec", f"{GOALS[name]}; here {SPECS / took:,.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.planner")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="virtual functions")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    print(f"{platform.machine()}, Python {platform.python_version()}, median of {options.rounds} rounds")
    print(f"  {'':34}{'size':>9}{'ms':>12}{'each':>12} {'':14}  goal")
    with tempfile.TemporaryDirectory() as folder:
        for size in options.sizes:
            measure_host(size, options.rounds, Path(folder))
    measure_specs(options.rounds)


if __name__ == "__main__":
    main()
