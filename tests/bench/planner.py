"""The planner, alone and on one core: facts of hosts of growing size, plans for them, and many specs.

Facts: a facts file, as `--host` reads it. Plan: a spec of 16 devices, with the facts loaded. Specs: generated ones with
five devices, from parsed YAML (a dict) and from their text.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from launcher.api.hosts import recorded_host
from launcher.codec import encode
from launcher.host.facts import HostFacts
from launcher.machine.boards import board_of
from launcher.plan.plan import SpecIdentity
from launcher.planner.decided import Terms
from launcher.planner.make import plan_of
from launcher.spec.load import load_spec
from launcher.spec.parts import VM_SPEC
from launcher.spec.yaml_tree import read_tree
from tests.bench.built import Built
from tests.bench.measure import Figures, Run
from tests.generators.hosts import many_functions
from tests.planning import FILES

DEVICES, SPECS = 16, 1000
SIZES = (1_000, 3_000, 10_000, 30_000, 100_000)
DICT, TEXT = "from a dict", "from YAML"
SPEC = """\
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


def size_name(functions: int) -> str:
    return f"{functions:,} functions"


def hosts(built: Built, folder: Path) -> dict[str, Run]:
    return {size_name(size): _host(size, folder / f"{size}.json") for size in SIZES}


def _host(functions: int, path: Path) -> Run:
    path.write_text(json.dumps(encode(many_functions(functions))))
    facts = recorded_host(str(path))
    loaded = load_spec(_spec_of(facts), "vm.yaml", name="vm")
    source = SpecIdentity("vm.yaml", loaded.sha256, VM_SPEC.plain(loaded.spec))

    board, terms = board_of(facts.architecture), Terms(loaded.places.where)

    def run() -> Figures:
        return {
            "read": _milliseconds(lambda: recorded_host(str(path))),
            "plan": _milliseconds(lambda: plan_of(loaded.spec, source, facts, FILES, terms, board)),
        }

    return run


def specs(built: Built, folder: Path) -> dict[str, Run]:
    texts = [SPEC.format(n=n) for n in range(SPECS)]
    plain = [root.plain() for text in texts if (root := read_tree(text, "vm.yaml").root)]
    works: dict[str, Callable[[], object]] = {
        DICT: lambda: [VM_SPEC.read(one) for one in plain],
        TEXT: lambda: [load_spec(one, "vm.yaml") for one in texts],
    }
    return {name: lambda work=work: {"rate": SPECS / _milliseconds(work) * 1000} for name, work in works.items()}


def _spec_of(facts: HostFacts) -> str:
    """By address, by number of a virtual function, by properties, and the lowest that is free."""
    virtual = [one for one in facts.pci if one.physical_function]
    card = next(one for one in facts.pci if len(one.virtual_functions) > DEVICES)
    some = virtual[DEVICES :: len(virtual) // DEVICES]
    devices: dict[str, Any] = {f"address{n}": str(one.address) for n, one in enumerate(some[:8])}
    devices |= {f"number{n}": {"pci": str(card.address), "vf": n} for n in range(4)}
    devices |= {f"serial{n}": {"match": {"serial": one.serial}} for n, one in enumerate(some[8:10])}
    devices |= {f"free{n}": {"match": {"id": "15b3:101e"}, "pick": "free"} for n in range(2)}
    return json.dumps({"boot": {"kernel": "./k"}, "cpus": 4, "memory": "8GiB", "devices": devices})


def _milliseconds(work: Callable[[], object]) -> float:
    """What is made is thrown away afterwards."""
    began = time.perf_counter()
    made = work()
    took = time.perf_counter() - began
    del made
    return took * 1000
