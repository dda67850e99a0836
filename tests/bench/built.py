"""A folder in; in it what the rows run: preloaded objects, payloads, programs, the initramfs of a Linux guest.

Made on the machine, also for the lab: a compiler is slow inside.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import PAYLOADS, assemble
from tests.lab import pieces
from tests.lab.clock import tsc_khz
from tests.lab.guest import WHOLE_DRIVERS, guest_initramfs

HERE = Path(__file__).parent
NATIVE = HERE.parent.parent / "launcher" / "native"
PROGRAM, PRELOADED = ["-static", "-pthread"], ["-shared", "-fPIC"]
MEMORY = [f"-I{NATIVE}", str(NATIVE / "memory.c"), str(NATIVE / "huge_file.c")]  # guest memory as the product maps it


@dataclass(frozen=True, slots=True)
class Built:
    folder: Path

    @property
    def stamps(self) -> Path:
        return self.folder / "stamps.so"

    @property
    def handling(self) -> Path:
        return self.folder / "handling.so"

    @property
    def accesses(self) -> Path:
        return self.folder / "accesses.elf"

    @property
    def million(self) -> Path:
        """The same with so many accesses, of one kind."""
        return self.folder / "million.elf"

    @property
    def lasting(self) -> Path:
        """A guest that powers itself off when whoever started it has nothing to do any more."""
        return self.folder / "lasting.elf"

    @property
    def rests(self) -> Path:
        """A guest that says nothing more and costs nothing."""
        return self.folder / "rests.elf"

    @property
    def touch(self) -> Path:
        return self.folder / "touch"

    @property
    def vfio(self) -> Path:
        return self.folder / "vfio"

    @property
    def linux(self) -> dict[str, str]:
        return {"kernel": self._settings["kernel"], "initrd": str(self.folder / "initrd")}

    @property
    def whole(self) -> dict[str, str]:
        """The same with drivers for disks, networks and vsock, and with the program `talk`."""
        return self.linux | {"initrd": str(self.folder / "initrd-whole")}

    @property
    def talk(self) -> Path:
        return self.folder / "talk"

    @property
    def ticks_a_microsecond(self) -> float:
        return int(self._settings["tsc_khz"]) / 1000

    @property
    def _settings(self) -> dict[str, str]:
        settings: dict[str, str] = json.loads((self.folder / "settings").read_text())
        return settings


def build(folder: Path, *, linux: bool) -> Built:
    """`linux`: also the guest, whose kernel may have to be fetched."""
    folder.mkdir(parents=True, exist_ok=True)
    _compile(folder / "stamps.so", *PRELOADED)
    _compile(folder / "handling.so", *PRELOADED)
    _compile(folder / "touch", *PROGRAM, *MEMORY)
    _compile(folder / "vfio", *PROGRAM, *MEMORY)
    assemble(HERE / "accesses.S", folder / "accesses.elf")
    million = folder / "million.S"
    million.write_text("\t.equ COUNT, 1000000\n" + (HERE / "accesses.S").read_text())
    assemble(million, folder / "million.elf")
    assemble(HERE / "lasting.S", folder / "lasting.elf")
    assemble(PAYLOADS / "rests.S", folder / "rests.elf")
    settings = {"tsc_khz": str(tsc_khz())}
    if linux:
        _compile(folder / "reads", *PROGRAM)
        kernel = pieces.own_kernel() or pieces.distribution_kernel()
        _compile(folder / "talk", *PROGRAM, source=PAYLOADS / "talk.c")
        programs = {f"bin/{name}": (folder / name).read_bytes() for name in ("reads", "talk")}
        guest_initramfs(folder / "initrd", kernel, more={"bin/reads": programs["bin/reads"]})
        guest_initramfs(folder / "initrd-whole", kernel, WHOLE_DRIVERS, programs)
        settings["kernel"] = str(kernel.image)
    (folder / "settings").write_text(json.dumps(settings))
    return Built(folder)


def _compile(target: Path, *options: str, source: Path | None = None) -> None:
    source = source or HERE / f"{target.stem}.c"
    subprocess.run(["gcc", "-O2", "-Wall", "-D_GNU_SOURCE", source, *options, "-o", target, "-ldl"], check=True)
