"""Inside a lab host: the same Linux by vmlaunch and by QEMU, in turns: `./dev lab run -- python -m tests.bench.boot`.

Uptime: what the guest's /proc/uptime says at its init. Boot: from the first KVM_RUN until the guest's word arrives.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.__main__ import ENVIRONMENT, VMLAUNCH, build_shim, interval
from tests.lab import pieces
from tests.lab.guest import guest_initramfs

MEMORY, CMDLINE = 512, "console=ttyS0 quiet panic=-1"
DEADLINE = 120


class Boot(NamedTuple):
    uptime: float
    seconds: float
    exits: int | None


def commands(folder: Path, kernel: Path, initrd: Path, vcpus: int) -> dict[str, list[str]]:
    spec = folder / "bench-boot.yaml"
    boot = {"kernel": str(kernel), "initrd": str(initrd), "cmdline": CMDLINE}
    spec.write_text(json.dumps({"boot": boot, "cpus": vcpus, "memory": f"{MEMORY}MiB"}))
    qemu = [pieces.qemu(), "-accel", "kvm", "-M", "q35", "-cpu", "host", "-nodefaults", "-display", "none"]
    qemu += ["-serial", "stdio", "-no-reboot", "-smp", str(vcpus), "-m", str(MEMORY)]
    return {
        "vmlaunch": [*VMLAUNCH, "up", str(spec)],
        "qemu -M q35": [*qemu, "-kernel", str(kernel), "-initrd", str(initrd), "-append", CMDLINE],
    }


def boot_once(command: list[str], shim: Path, folder: Path) -> Boot:
    stamp = folder / "stamp"
    stamp.unlink(missing_ok=True)
    environment = ENVIRONMENT | {"LD_PRELOAD": str(shim), "FIRST_RUN": str(stamp)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, env=environment, text=True, **pipes) as process:  # type: ignore[call-overload]
        line = ""
        while "init at" not in line:
            line = process.stdout.readline()
            if not line:
                raise SystemExit(f"no Linux: {process.stderr.read()}")
        arrived = time.clock_gettime(time.CLOCK_MONOTONIC)
        _, told = process.communicate("poweroff\n", timeout=DEADLINE)
    seconds, nanoseconds = struct.unpack("qq", stamp.read_bytes())
    exits = [int(row.split()[2].replace(",", "")) for row in told.splitlines() if "exits to user space" in row]
    return Boot(float(line.split()[-1]), arrived - seconds - nanoseconds / 1e9, sum(exits) if exits else None)


def measure(vcpus: int, rounds: int, kernel: Path, folder: Path) -> None:
    shim = build_shim(folder)
    jobs = commands(folder, kernel, guest_initramfs(folder / "initrd"), vcpus)
    boots: dict[str, list[Boot]] = {name: [] for name in jobs}
    for turn in range(rounds + 1):
        for name, command in jobs.items():
            boot = boot_once(command, shim, folder)
            if turn:  # the first round warms the caches
                boots[name].append(boot)
    print(f"\nLinux {kernel.name}, {vcpus} vCPUs, {MEMORY} MiB, {rounds} rounds", flush=True)
    print(f"{'':14}{'uptime at init':>16}{'KVM_RUN to init':>17}{'exits':>8}   ratios to QEMU: uptime, boot (95 %)")
    for name, mine in boots.items():
        pairs = list(zip(mine, boots["qemu -M q35"], strict=True))
        uptime = interval([one.uptime / other.uptime for one, other in pairs])
        boot = interval([one.seconds / other.seconds for one, other in pairs])
        exits = [one.exits for one in mine if one.exits is not None]
        print(
            f"{name:14}{statistics.median(one.uptime for one in mine):14.2f} s"
            f"{statistics.median(one.seconds for one in mine):15.2f} s{max(exits, default=0) or '':>8}"
            f"   {uptime[0]:.2f} ({uptime[1]:.2f} to {uptime[2]:.2f}), {boot[0]:.2f} ({boot[1]:.2f} to {boot[2]:.2f})",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.boot")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vcpus", type=int, nargs="+", default=[1, 4])
    options = parser.parse_args()
    own = pieces.own_kernel()
    kernel = (own or pieces.distribution_kernel()).image
    with tempfile.TemporaryDirectory() as folder:
        for vcpus in options.vcpus:
            measure(vcpus, options.rounds, kernel, Path(folder))
    sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("HOME", "/root")
    main()
