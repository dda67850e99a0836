"""The same Linux booted by vmlaunch and by QEMU: uptime at its init, KVM_RUN to init, exits to user space."""

from __future__ import annotations

import re
from pathlib import Path

from tests.bench.built import Built
from tests.bench.linux import Guest, two
from tests.bench.measure import Figures, Run
from tests.bench.stamps import StampFile

EXITS = re.compile(r"^ *vCPU \d+ +([\d,]+) exits to user space", re.MULTILINE)


def boot(built: Built, folder: Path, vcpus: int) -> dict[str, Run]:
    file = StampFile(folder / "stamps", built.stamps)
    commands = two(folder, built.linux, vcpus)
    return {name: lambda command=command: _boot(command, file) for name, command in commands.items()}


def _boot(command: list[str], file: StampFile) -> Figures:
    with Guest(command, file) as guest:
        figures = guest.init()
        exits = [int(count.replace(",", "")) for count in EXITS.findall(guest.power_off())]
    return figures | ({"exits": sum(exits)} if exits else {})
