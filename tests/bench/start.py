"""From the start of the process to its first KVM_RUN: a tiny guest from YAML, from a saved plan, and in QEMU."""

from __future__ import annotations

import random
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from launcher.values import MIB
from tests.bench import contenders
from tests.bench.built import Built
from tests.bench.contenders import DEADLINE, ENVIRONMENT, MICROVM, Q35, SAVED, YAML
from tests.bench.measure import Figures, Run
from tests.bench.stamps import StampFile, now

HELLO = Path(__file__).parent.parent.parent / "examples" / "hello.elf"
VCPUS, MEBIBYTES = 2, 96
LINE = re.compile(r"^import time: +(\d+) \| +\d+ \| +([\w.]+)$", re.MULTILINE)
# What is counted with whom it came for.
PACKAGES = {
    **dict.fromkeys(
        ("pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"), "pydantic"
    ),
    **dict.fromkeys(("rich", "pygments", "markdown_it", "mdurl"), "rich"),
    "ruamel": "ruamel",
    "_ruamel_yaml": "ruamel",
    "launcher": "launcher",
    "cffi": "launcher",
    "_cffi_backend": "launcher",
}


def first_run(built: Built, folder: Path, initrd: int = 0, mebibytes: int = MEBIBYTES) -> dict[str, Run]:
    """`initrd`: MiB of an initial RAM disk."""
    boot = {"kernel": str(HELLO), "cmdline": "greetings"}
    if initrd:
        boot["initrd"] = str(folder / "initrd")
        Path(boot["initrd"]).write_bytes(random.Random(initrd).randbytes(initrd * MIB))
    yaml = contenders.up(folder, boot, VCPUS, mebibytes)
    commands = {YAML: yaml, SAVED: contenders.up_saved(yaml)}
    commands |= {
        name: contenders.qemu_command(machine, boot, VCPUS, mebibytes)
        for name, machine in ((Q35, "q35"), (MICROVM, "microvm"))
    }
    file = StampFile(folder / "stamps", built.stamps)
    return {name: lambda command=command: {"ms": _until_first_run(command, file)} for name, command in commands.items()}


def _until_first_run(command: list[str], file: StampFile) -> float:
    """Milliseconds. The process is ended as soon as its guest has started."""
    quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environment = file.environment()
    began = now()
    with subprocess.Popen(command, env=environment, **quiet) as process:
        while not file.read().first_run:
            if process.poll() is not None or now() - began > DEADLINE:
                process.kill()
                raise SystemExit(f"{' '.join(command)} did not reach KVM_RUN")
            time.sleep(0.002)
        process.terminate()
    if command[0] == sys.executable:
        contenders.down()
    return (file.read().first_run - began) * 1000


def imports(built: Built, folder: Path) -> dict[str, Run]:
    yaml = contenders.up(folder, {"kernel": str(HELLO)}, VCPUS, MEBIBYTES)
    commands = {YAML: yaml, SAVED: contenders.up_saved(yaml)}
    return {name: lambda command=command: _shares(command) for name, command in commands.items()}


def _shares(command: list[str]) -> Figures:
    """Milliseconds of each package, its own modules summed, of the client and of the process that plans."""
    words = [command[0], "-X", "importtime", *command[1:]]
    done = subprocess.run(words, env=ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True)
    contenders.down()
    shares = Counter(dict.fromkeys((*PACKAGES.values(), "standard library"), 0))
    for microseconds, module in LINE.findall(done.stderr):
        shares[PACKAGES.get(module.partition(".")[0], "standard library")] += int(microseconds)
    return {name: sum_ / 1000 for name, sum_ in shares.items()}
