"""Who is compared, by the names of the tables, and how each is started: commands, specs, environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.lab.pieces import qemu

OURS, YAML, SAVED = "vmlaunch", "vmlaunch, YAML", "vmlaunch, saved plan"
BY_IOMMUFD, ATTACHED, DETACHED = "vmlaunch, iommufd", "vmlaunch, attached", "vmlaunch, detached"
Q35, MICROVM, PC = "QEMU q35", "QEMU microvm", "QEMU pc"

NAME = "bench"  # of every VM of ours
VMLAUNCH = [sys.executable, "-m", "launcher"]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
DEADLINE = 900.0  # seconds until a contender is stuck, not slow: a whole life is 60 where nobody else is at work


def up(folder: Path, boot: dict[str, str], vcpus: int, mebibytes: int, **more: Any) -> list[str]:
    """The command, and its spec written."""
    spec = folder / f"{NAME}.yaml"
    whole = {"name": NAME, "boot": boot, "cpus": vcpus, "memory": f"{mebibytes}MiB"} | more
    spec.write_text(json.dumps(whole))
    return [*VMLAUNCH, "up", str(spec)]


def up_saved(yaml: list[str]) -> list[str]:
    """The same from a plan that was saved before."""
    spec = Path(yaml[-1])
    saved = spec.with_suffix(".plan")
    run([*VMLAUNCH, "plan", str(spec), "-o", str(saved)])
    return [*VMLAUNCH, "up", str(saved)]


def qemu_command(machine: str, boot: dict[str, str], vcpus: int, mebibytes: int, *more: str) -> list[str]:
    words = qemu_machine(machine, vcpus, mebibytes, "-kernel", boot["kernel"], *more)
    words += ["-initrd", boot["initrd"]] if "initrd" in boot else []
    return [*words, "-append", boot.get("cmdline", "")]


def qemu_machine(machine: str, vcpus: int, mebibytes: int, *more: str) -> list[str]:
    words = [qemu(), "-accel", "kvm", "-M", machine, "-nodefaults", "-display", "none", "-serial", "stdio"]
    return [*words, "-no-reboot", "-smp", str(vcpus), "-m", str(mebibytes), *more]


def opened(image: Path) -> str:
    """How QEMU is to open a disk's image: as qemu-storage-daemon is told to, by the page cache only where there is no
    other way."""
    with suppress(OSError):
        os.close(os.open(image, os.O_RDONLY | os.O_DIRECT))
        return "cache.direct=on,aio=native"
    return "cache.direct=off,aio=threads"


def down(*names: str) -> None:
    """Ours are gone, and their folders too."""
    run([*VMLAUNCH, "down", "--kill", *(names or (NAME,))])


def run(command: list[str]) -> str:
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout
