"""`./dev bench`: vmlaunch beside QEMU on the same work, interleaved in one run; ratios with their 95 % interval.

Boot, in a lab host: `./dev lab run -- python -m tests.bench.boot`.
Start: from the start of the process to the first KVM_RUN, examples/hello.yaml and the same kernel, vCPUs and memory.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "examples"
NAME = "bench-hello"
VMLAUNCH = [sys.executable, "-m", "launcher"]
QEMU = [
    "qemu-system-x86_64",
    "-accel",
    "kvm",
    "-nodefaults",
    "-display",
    "none",
    "-serial",
    "stdio",
    "-smp",
    "2",
    "-m",
    "96",
]
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
DEADLINE = 30.0
RESAMPLES = 5000


def contenders(saved_plan: Path) -> dict[str, list[str]]:
    kernel = ["-kernel", str(EXAMPLES / "hello.elf"), "-append", "greetings"]
    return {
        "vmlaunch up hello.yaml": [*VMLAUNCH, "up", str(EXAMPLES / "hello.yaml"), "--set", f"name={NAME}"],
        "vmlaunch up hello.plan": [*VMLAUNCH, "up", str(saved_plan)],
        "qemu -M q35": [*QEMU, "-M", "q35", *kernel],
        "qemu -M microvm": [*QEMU, "-M", "microvm", *kernel],
    }


def build_shim(folder: Path) -> Path:
    shim = folder / "first_run.so"
    source = Path(__file__).with_name("first_run.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", shim, source, "-ldl"], check=True)
    return shim


def time_to_first_run(command: list[str], shim: Path, folder: Path) -> float:
    """Milliseconds. The process is ended as soon as its guest has started."""
    stamp = folder / "stamp"
    stamp.unlink(missing_ok=True)
    environment = ENVIRONMENT | {"LD_PRELOAD": str(shim), "FIRST_RUN": str(stamp)}
    began = time.clock_gettime(time.CLOCK_MONOTONIC)
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        while not (stamp.exists() and any(stamp.read_bytes()[:8])):
            if process.poll() not in (None, 0) or time.clock_gettime(time.CLOCK_MONOTONIC) - began > DEADLINE:
                process.kill()
                raise SystemExit(
                    f"{' '.join(command)} did not reach KVM_RUN:\n{process.stderr and process.stderr.read().decode()}"
                )
            time.sleep(0.002)
        process.terminate()
    seconds, nanoseconds = struct.unpack("qq", stamp.read_bytes())
    return (seconds + nanoseconds / 1e9 - began) * 1000


def interval(ratios: list[float]) -> tuple[float, float, float]:
    """Median and its bootstrap 95 % interval."""
    dice = random.Random(0)
    medians = sorted(statistics.median(dice.choices(ratios, k=len(ratios))) for _ in range(RESAMPLES))
    return statistics.median(ratios), medians[int(0.025 * RESAMPLES)], medians[int(0.975 * RESAMPLES)]


def measure(rounds: int, folder: Path) -> dict[str, list[float]]:
    shim, saved = build_shim(folder), folder / "hello.plan"
    subprocess.run(
        [*VMLAUNCH, "plan", EXAMPLES / "hello.yaml", "--set", f"name={NAME}", "-o", saved],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    commands = contenders(saved)
    times: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(rounds + 1):
        for name, command in commands.items():
            took = time_to_first_run(command, shim, folder)
            if turn:  # the first round warms the caches
                times[name].append(took)
        subprocess.run([*VMLAUNCH, "down", NAME], check=True, stdout=subprocess.DEVNULL)
    return times


def show(times: dict[str, list[float]]) -> None:
    title = "process start to first KVM_RUN, ms"
    print(f"{title:38}{'min':>8}{'median':>8}   ratio to q35 (95 %)   ratio to microvm (95 %)")
    for name, values in times.items():
        line = f"  {name:36}{min(values):8.1f}{statistics.median(values):8.1f}"
        for other in ("qemu -M q35", "qemu -M microvm"):
            ratios = [mine / theirs for mine, theirs in zip(values, times[other], strict=True)]
            middle, low, high = interval(ratios)
            line += f"   {middle:5.2f} ({low:.2f} to {high:.2f})" + "   "
        print(line.rstrip())


def importtime() -> None:
    """`--help` and `completion` against bare Python, by wall clock."""
    bare = [sys.executable, "-c", "pass"]
    jobs = {
        "python -c pass": bare,
        "--help": [*VMLAUNCH, "--help"],
        "completion bash": [*VMLAUNCH, "completion", "bash"],
        "ps": [*VMLAUNCH, "ps"],
    }
    times: dict[str, list[float]] = {name: [] for name in jobs}
    for _ in range(15):
        for name, command in jobs.items():
            began = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
            times[name].append((time.perf_counter() - began) * 1000)
    print(f"\n{'everyday, ms':38}{'min':>8}{'median':>8}   ratio to bare Python (95 %)")
    for name, values in times.items():
        middle, low, high = interval([mine / base for mine, base in zip(values, times["python -c pass"], strict=True)])
        print(
            f"  {name:36}{min(values):8.1f}{statistics.median(values):8.1f}   {middle:5.2f} ({low:.2f} to {high:.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="./dev bench")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="keep the raw times in this file")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        times = measure(options.rounds, folder)
    finally:
        shutil.rmtree(folder)
    print(f"{platform.machine()}, {os.cpu_count()} CPUs, Linux {platform.release()}, {options.rounds} rounds")
    show(times)
    importtime()
    if options.json:
        options.json.write_text(json.dumps({"first_run_ms": times}, indent=1) + "\n")


if __name__ == "__main__":
    main()
