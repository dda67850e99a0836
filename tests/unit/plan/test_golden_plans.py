"""Plans as they are shown and saved, compared with tests/plans. `VMLAUNCH_GOLDEN=write pytest ...` writes them anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from launcher.host.facts import HostFacts, Serving
from launcher.images.boot_files import BootFiles
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.plan import Plan
from launcher.record import replace
from launcher.report.diagnostics import as_text
from launcher.report.plan_text import plan_text
from tests.planning import EXAMPLE, KERNEL, SMALL, absent, host, plan
from tests.whole_machine import HOST, SPEC, whole_files

PLANS = Path(__file__).parents[2] / "plans"
HUGE = """\
boot: {kernel: ./bzImage, initrd: ./initrd.img}
cpus: {count: 4, pin: 8-11}
memory:
  - {size: 2GiB, pages: 2MiB, node: 0}
  - {size: 12GiB, pages: 2MiB, node: 1}
  - {size: 4GiB, pages: 1GiB, node: 1}
"""
REFUSED = """\
boot: {kernel: ./bzImage}
cpus: 4
memory: 8GiB
devices:
  gpu:
    pci: 0000:c1:00.0
  any: {match: {class: nvme}}
"""
# All GPUs and NVSwitches of the machine, with what training needs besides.
TRAINING = """\
boot: {kernel: ./bzImage, initrd: ./initrd.img, cmdline: console=ttyS0 root=/dev/nvme0n1p2 ro}
cpus: 96
memory:
  - {size: 768GiB, pages: 1GiB, node: 0}
  - {size: 768GiB, pages: 1GiB, node: 1}
devices:
  gpu0: {match: {class: gpu, slot: GPU0}}
  gpu1: {match: {class: gpu, slot: GPU1}}
  gpu2: {match: {class: gpu, slot: GPU2}}
  gpu3: {match: {class: gpu, slot: GPU3}}
  gpu4: {match: {class: gpu, slot: GPU4}}
  gpu5: {match: {class: gpu, slot: GPU5}}
  gpu6: {match: {class: gpu, slot: GPU6}}
  gpu7: {match: {class: gpu, slot: GPU7}}
  nvswitch0: {pci: 0000:e3:00.0, expect: 10de:22a3}
  nvswitch1: {pci: 0000:e4:00.0, expect: 10de:22a3}
  nvswitch2: {pci: 0000:e5:00.0, expect: 10de:22a3}
  nvswitch3: {pci: 0000:e6:00.0, expect: 10de:22a3}
  fabric0: {pci: 0000:25:00.0, vf: 0}
  fabric1: {pci: 0000:a5:00.0, vf: 0}
  scratch: 0000:a6:00.0
"""
# What its user cannot have of it, and what nobody can.
PORTABLE = """\
boot: {kernel: ./bzImage}
cpus: 2
memory: 2GiB
devices:
  disk: 0000:04:00.0
  graphics: {pci: 0000:00:02.0, rom: false}
  wifi: {pci: 0000:00:14.3, allow: [in-use]}
  sound: 0000:00:1f.3
"""


def by_root() -> HostFacts:
    """The laptop, planned for by root."""
    return replace(host("laptop"), process=host("gpu07").process)


def nothing() -> BootFiles:
    """None of the files that the whole machine names."""
    found = whole_files()
    shares = {name: absent(f"/vms/{name}") for name in found.shares}
    return replace(found, disks={name: absent(f"/vms/{name}") for name in found.disks}, shares=shares)


CASES = {
    "passthrough-on-gpu07": lambda: (EXAMPLE.read_text(), plan(EXAMPLE.read_text(), host("gpu07"))),
    "small-on-cloud-vm": lambda: (SMALL, plan(SMALL, host("cloud-vm"), BootFiles(KERNEL))),
    "small-on-no-kvm": lambda: (SMALL, plan(SMALL, host("no-kvm"), BootFiles(absent("/vms/bzImage")))),
    "small-on-kvm-denied": lambda: (SMALL, plan(SMALL, host("kvm-denied"), BootFiles(KERNEL))),
    "huge-on-two-nodes": lambda: (HUGE, plan(HUGE, host("two-nodes"))),
    "training-on-gpu-server": lambda: (TRAINING, plan(TRAINING, host("gpu-server"))),
    "portable-on-laptop": lambda: (PORTABLE, plan(PORTABLE, host("laptop"), BootFiles(KERNEL))),
    "portable-on-laptop-by-root": lambda: (PORTABLE, plan(PORTABLE, by_root(), BootFiles(KERNEL))),
    "whole-machine-on-gpu07": lambda: (SPEC, plan(SPEC, HOST, whole_files())),
    "whole-machine-without-its-parts": lambda: (SPEC, plan(SPEC, replace(HOST, serving=Serving()), nothing())),
    "refused-on-gpu07": lambda: (REFUSED, plan(REFUSED, host("gpu07"), BootFiles(KERNEL))),
}


def shown(text: str, made: Plan) -> str:
    return plan_text(made, as_text(made.diagnostics, {"vm.yaml": text})) + "\n"


def compare(path: Path, found: str) -> None:
    if os.environ.get("VMLAUNCH_GOLDEN") == "write":
        path.write_text(found)
    assert found == path.read_text()


@pytest.mark.parametrize("name", CASES)
def test_the_text_of_a_plan_is_as_recorded(name: str):
    compare(PLANS / f"{name}.txt", shown(*CASES[name]()))


@pytest.mark.parametrize("name", CASES)
def test_the_saved_plan_is_as_recorded(name: str):
    _, made = CASES[name]()
    plain = plan_to_json(made) | {"vmlaunch": "0"}
    compare(PLANS / f"{name}.json", json.dumps(plain, indent=1, ensure_ascii=False) + "\n")


@pytest.mark.parametrize("name", CASES)
def test_a_recorded_plan_is_read_and_shows_the_same(name: str):
    text, made = CASES[name]()
    saved = plan_from_json(json.loads((PLANS / f"{name}.json").read_text()))
    assert shown(text, saved) == shown(text, made)


@pytest.mark.parametrize("name", CASES)
def test_no_line_is_wider_than_100_columns(name: str):
    _, made = CASES[name]()
    assert max(map(len, plan_text(made, "").splitlines())) <= 100
