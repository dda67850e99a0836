"""Specs and recorded hosts in, plans out: what the planner's tests have in common."""

from __future__ import annotations

import json
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from launcher.api.only import given_functions, terms_of
from launcher.codec import decode
from launcher.host.facts import HostFacts
from launcher.images.boot_files import BootFile, BootFiles, Segment
from launcher.machine.boards import board_of
from launcher.plan.plan import Plan, SpecIdentity
from launcher.planner.make import plan_of
from launcher.record import replace
from launcher.spec.load import load_spec
from launcher.spec.parts import VM_SPEC
from launcher.values import MIB, Missing

HOSTS = Path(__file__).parent / "hosts"
EXAMPLE = Path(__file__).parent.parent / "examples" / "passthrough.yaml"

KERNEL = BootFile("/vms/bzImage", "pvh", 8 * MIB, "11" * 32, 0x1000000, (Segment(4096, 8 * MIB, 0x1000000, 12 * MIB),))
INITRD = BootFile("/vms/initrd.img", "initrd", 20 * MIB + 17, "22" * 32)
FILES = BootFiles(KERNEL, INITRD)

SMALL = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 256MiB\n"


@cache
def host(name: str) -> HostFacts:
    return decode(HostFacts, json.loads((HOSTS / f"{name}.json").read_text()))


def plan(
    text: str, on: HostFacts, files: BootFiles = FILES, file: str = "vm.yaml", only: str = "", **asked: Any
) -> Plan:
    """`only`: what it may touch, as on the command line; empty: anything. `asked`: other terms."""
    loaded = load_spec(text, file, name="vm")
    resolved = VM_SPEC.plain(loaded.spec)
    source = SpecIdentity(file, sha256(text.encode()).hexdigest(), resolved)
    terms = terms_of(loaded.places.where, given_functions(only) if only else None)
    return plan_of(loaded.spec, source, on, files, replace(terms, **asked), board_of(on.architecture))


def codes(made: Plan) -> list[str]:
    return [one.code for one in made.diagnostics]


def absent(path: str) -> Missing:
    return Missing("absent", path)
