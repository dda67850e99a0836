"""A row of the catalogue of failures: what goes wrong with passed devices, on which host it is seen, on which not."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from launcher.codec import decode
from launcher.host.facts import HostFacts
from launcher.images.boot_files import BootFiles
from launcher.images.option_rom import OptionRom, parse_rom
from launcher.images.reading import read_boot_file
from launcher.record import replace
from tests.planning import FILES, host

_REPORTED = Path(__file__).parents[1] / "cases" / "hosts"
ONE = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices: {disk: 0000:02:00.0}\n"


@dataclass(frozen=True)
class Row:
    """`host` shows the failure and `near` almost does: the same code must not be said of it.

    `captured`: the lab host (tests/hosts/lab-*.json) that has the failure as it was recorded. `made_in`: the one on
    which the failure was made by commands and seen, with facts made by hand here. Without both all is made by hand.
    `variant` tells apart several rows of one failure. `files`: what is in bzImage, initrd.img and ALIAS.rom, where
    that matters; `near_files`: in those of the near miss, where they differ. `named` and `near_named` are those facts
    of files themselves, where they are of disks, shares and sockets. `only` and `near_only`: what a plan may touch;
    `asked`: when.
    """

    id: str
    code: str
    host: Callable[[], HostFacts]
    near: Callable[[], HostFacts]
    spec: str = ONE
    near_spec: str = ""  # empty: the same
    captured: str = ""
    variant: str = ""
    made_in: str = ""
    files: Mapping[str, bytes] | None = None
    near_files: Mapping[str, bytes] | None = None
    named: BootFiles | None = None
    near_named: BootFiles | None = None
    only: str = ""
    near_only: str = ""
    asked: Mapping[str, Any] = field(default_factory=dict)

    def boot_files(self) -> BootFiles:
        return self.named or (FILES if self.files is None else read_files(self.files))

    def near_boot_files(self) -> BootFiles:
        if self.near_files is not None:
            return read_files(self.near_files)
        return self.near_named or self.boot_files()

    @property
    def name(self) -> str:
        return f"{self.id}-{self.variant}" if self.variant else self.id


_ROM = ".rom"
_VMS = "/vms"  # where the files of rows are, as their texts have it


def read_files(contents: Mapping[str, bytes]) -> BootFiles:
    """As they are read from a folder, which is not there any more."""
    with TemporaryDirectory() as folder:
        for name, content in contents.items():
            (Path(folder) / name).write_bytes(content)
        read = {name: read_boot_file(f"{folder}/{name}", _as_rom(name)) for name in contents}
    found = {name: replace(one, path=f"{_VMS}/{name}") for name, one in read.items()}
    roms = {name.removesuffix(_ROM): one for name, one in found.items() if name.endswith(_ROM)}
    return BootFiles(found.get("bzImage", FILES.kernel), found.get("initrd.img", FILES.initrd), roms)


def _as_rom(name: str) -> Callable[[int, Callable[[int, int], bytes]], OptionRom] | None:
    return parse_rom if name.endswith(_ROM) else None


def hosted(name: str) -> Callable[[], HostFacts]:
    return lambda: host(name)


def lab(name: str) -> Callable[[], HostFacts]:
    """A host that was recorded in the lab."""
    return lambda: host(f"lab-{name}")


def reported(name: str) -> Callable[[], HostFacts]:
    """A host of a public report, made by hand (tests/cases/hosts)."""
    return lambda: decode(HostFacts, json.loads((_REPORTED / f"{name}.json").read_text()))


def small(devices: str, memory: str = "64MiB") -> str:
    """A VM that any lab host has room for."""
    return f"boot: {{kernel: ./bzImage}}\ncpus: 1\nmemory: {memory}\ndevices: {{{devices}}}\n"


def gpu07(**fields: Any) -> Callable[[], HostFacts]:
    """The server of tests/hosts/gpu07.json, with these facts instead."""
    return lambda: replace(host("gpu07"), **fields)


def with_function(facts: HostFacts, address: str, **fields: Any) -> HostFacts:
    """The host with one function that differs."""
    pci = (replace(one, **fields) if str(one.address) == address else one for one in facts.pci)
    return replace(facts, pci=tuple(pci))


def with_linux(facts: HostFacts, **fields: Any) -> HostFacts:
    return replace(facts, linux=replace(facts.linux, **fields))


def with_process(facts: HostFacts, **fields: Any) -> HostFacts:
    return replace(facts, process=replace(facts.process, **fields))
