"""Tiny VMs that halt, ours and QEMU's: how long until a hundred run that begin together, memory of one and of all."""

from __future__ import annotations

import json
import os
import time
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

from tests.bench import contenders
from tests.bench.built import Built
from tests.bench.contenders import ATTACHED, DEADLINE, DETACHED, MICROVM, NAME, OURS, Q35, VMLAUNCH
from tests.bench.measure import Figures, Run
from tests.bench.passed import memory_of
from tests.bench.stamps import StampFile, now
from tests.conftest import parent_of

MANY, MEBIBYTES = 100, 96
NAMES = tuple(f"{NAME}-{n}" for n in range(MANY))
DETACH = "-d"


def fleet(built: Built, folder: Path) -> dict[str, Run]:
    boot = {"kernel": str(built.rests)}
    files = [StampFile(folder / f"stamps-{name}", built.stamps) for name in NAMES]
    ours = [_detached(folder / name, boot) for name in NAMES]
    theirs = [contenders.qemu_command("microvm", boot, 1, MEBIBYTES)] * MANY
    return {OURS: partial(_run, ours, files, NAMES), MICROVM: partial(_run, theirs, files)}


def _detached(folder: Path, boot: dict[str, str]) -> list[str]:
    folder.mkdir()
    return [*contenders.up(folder, boot, 1, MEBIBYTES, name=folder.name), DETACH]


def memory(built: Built, folder: Path) -> dict[str, Run]:
    boot, files = {"kernel": str(built.rests)}, [StampFile(folder / "stamps", built.stamps)]
    yaml = contenders.up(folder, boot, 1, MEBIBYTES)
    theirs = {Q35: "q35", MICROVM: "microvm"}
    return {
        ATTACHED: partial(_run, [yaml], files, (NAME,)),
        DETACHED: partial(_run, [[*yaml, DETACH]], files, (NAME,)),
        **{
            name: partial(_run, [contenders.qemu_command(machine, boot, 1, MEBIBYTES)], files)
            for name, machine in theirs.items()
        },
    }


def _run(commands: list[list[str]], files: list[StampFile], names: tuple[str, ...] = ()) -> Figures:
    """`names`: of ours."""
    environments = [file.environment() for file in files]
    began = now()
    started = [
        Popen(command, env=environment, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL)
        for command, environment in zip(commands, environments, strict=True)
    ]
    try:
        last = max(_first_run(file, began) for file in files)
        return {"seconds": last - began} | memory_of(_processes(started, names), MEBIBYTES)
    finally:
        if names:
            contenders.down(*names)
        for one in started:
            one.kill()
            one.communicate()


def _first_run(file: StampFile, began: float) -> float:
    while not (moment := file.read().first_run):
        if now() - began > DEADLINE:
            raise SystemExit(f"{file.path} never came to KVM_RUN")
        time.sleep(0.02)
    return moment


def _processes(started: list[Popen[bytes]], names: tuple[str, ...]) -> list[int]:
    """Those that stay: of ours keepers and runners, and a client that is attached."""
    for one in started:
        if DETACH in one.args:
            one.wait(DEADLINE)
    told = json.loads(contenders.run([*VMLAUNCH, "ps", "--json"])) if names else []
    first = {one.pid for one in started if one.poll() is None} | {vm["keeper"] for vm in told if vm["name"] in names}
    parents = {one: parent_of(one) for one in map(int, filter(str.isdecimal, os.listdir("/proc")))}
    return sorted(first | {one for one, parent in parents.items() if parent in first})
