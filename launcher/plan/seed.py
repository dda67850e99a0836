"""What cloud-init finds in a guest: the step that makes its disk and starts who serves it. Pure."""

from __future__ import annotations

from launcher.plan.step import Step
from launcher.record import record

LABEL = "CIDATA"  # by which cloud-init knows the disk (NoCloud)
NAMES = ("user-data", "meta-data", "network-config")


@record
class SeedFile:
    """A file of the disk: what is at `path`, with this digest, or `text` where there is no path."""

    name: str
    path: str
    sha256: str
    text: str

    def __post_init__(self) -> None:
        if self.name not in NAMES:
            raise ValueError(f"{self.name!r} is no file of cloud-init's")


@record
class StartSeedEngine(Step):
    """A qemu-storage-daemon for a disk that is made in memory of these files. It is read-only, and has no name on the
    host. `maps`: bytes of guest memory."""

    op = "start-seed-engine"
    by = "keeper"
    undo = "ended"
    alias: str
    program: str
    uid: int
    gid: int
    files: tuple[SeedFile, ...]
    maps: int

    def describe(self) -> str:
        named = ", ".join(one.name for one in self.files)
        return f"make a disk in memory of {named}, start qemu-storage-daemon as uid {self.uid} for {self.alias}"

    @property
    def device(self) -> str:
        return self.alias
