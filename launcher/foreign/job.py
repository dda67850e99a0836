"""A VM as a scheduler's job, whoever the scheduler is: what it asks for, where it can run, what it is called. Pure."""

from __future__ import annotations

from launcher.record import record
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

OWN = 256 << 20  # bytes that keeper, runner and client have beside the guest's memory
GRACE = 90  # seconds for a guest to power off
MOST_RETRIES = 6


@record
class Want:
    """So many units of a kind. `type` is empty where any of the kind does."""

    kind: str
    type: str
    count: int


@record
class HostFile:
    """What the spec names, by its absolute path on the host."""

    path: str
    writable: bool = False


@record
class Job:
    """`spec` is the absolute path of its file, `text` what that holds, `sets` as in `--set`.

    `memory`: bytes that are no huge pages, vmlaunch's own included; `huge` counts pages by their size in bytes.
    `hosts` can run it, best first, and have what is asked for; `others` cannot, or have another kind. `devices`:
    aliases of the spec. `nodes`: what of /dev it opens beside VFIO's. `notes`: what it cannot ask for, as sentences.
    """

    name: str
    spec: str
    text: str
    sets: tuple[str, ...]
    cpus: int
    memory: int
    huge: Mapping[int, int]
    wants: tuple[Want, ...]
    hosts: tuple[str, ...]
    others: tuple[str, ...]
    devices: tuple[str, ...]
    files: tuple[HostFile, ...]
    nodes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def told(self) -> tuple[str, ...]:
        """What a person should know of it, as sentences."""
        count = len(self.hosts) + len(self.others)
        return (f"Hosts that can run it and have this: {len(self.hosts)} of {count}.", *self.notes)

    @property
    def mebibytes(self) -> int:
        return -(-self.memory // (1 << 20))
