"""Plan: spec and host facts, resolved and ordered, pure data; what `plan` shows, `-o` saves and `up` runs.

What is done is described by `steps` alone, and of a step only `op` and `args` count: the rest of its JSON is for people
and is made anew when it is read. Keeper and runner carry `steps` out under `name`. They read two more things of a plan:
the architecture in `assumes`, for its board, and `summary.host_changes`, by which keeper and `up` tell how to end when
the journal or the keeper cannot say it.

`devices` and `memory` are the same decisions for people: report draws and compares them. Besides it only api reads
`devices`, before anything is done: whether there are any, and which files their ROMs are. What keeper or runner has to
know of a device is in `Passed` and `BindDriver`.

A saved plan is an answer with its question (api/staleness.py). `assumes` is compared with the host as it is now; then
`spec.resolved` is planned again, and that has to come to the same steps. An error among its `diagnostics` is believed,
that there is none is not. `devices`, `memory`, `diagnostics` and `summary` of the new plan take the place of the old.

`only` is what the plan was told to keep to: planned again, it keeps to it. It is not written where nothing was told: a
vmlaunch that does not know it refuses a plan that has it, and reads all others.

`summary` is for whoever decides whether to go on, a person or a program. `can_run: no` is refused. `unknown` says that
a fact which could be in the way was not read (W216); it permits what `yes` permits, as any warning does unless
`--strict` makes it a refusal, and what is in the way then fails at the step that meets it.
"""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.names import is_name
from launcher.plan.step import Step
from launcher.record import record
from launcher.typed import Any, Literal
from launcher.values import Hex, HostDevice, PciAddress, Span

FORMAT_VERSION = "1.0"


@record
class SpecIdentity:
    """`resolved` is the spec in its long form with every default written out."""

    path: str
    sha256: str
    resolved: dict[str, Any]

    def __post_init__(self) -> None:
        """What a plan is shown by; all else in it is for other programs."""
        devices = self.resolved.get("devices") or {}
        if not isinstance(devices, dict) or not all(map(_is_device, devices.values())):
            raise ValueError("its devices are not those of a spec")
        for kind in ("disks", "nics", "shares"):
            entries = self.resolved.get(kind) or {}
            if not isinstance(entries, dict) or not all(isinstance(one, dict) for one in entries.values()):
                raise ValueError(f"its {kind} are not those of a spec")
        for key in ("vsock", "cloud-init"):
            if not isinstance(self.resolved.get(key), dict | None):
                raise ValueError(f"its {key} is not that of a spec")


def _is_device(plain: object) -> bool:
    return isinstance(plain, dict) and isinstance(plain.get("match") or {}, dict)


@record
class HostIdentity:
    name: str
    kernel: str
    iommu: str | None
    backend: str | None


@record
class PlannedBar:
    """`guest` is None until it has a place; `serve` is what `up` tries first: all of it mapped into the guest, split
    into pages that are mapped and pages that are trapped, or trapped."""

    index: int
    kind: Literal["io", "mem32", "mem64"]
    size: int
    guest: Hex | None
    serve: Literal["mmap", "split", "trap"]


@record
class Source:
    file: str
    line: int
    column: int


@record
class PlannedDevice:
    """A passed function, or the companion of one, or a mediated device. `driver` is the host's, before; of a mediated
    device `id` is its type, and what is not known before it is open is empty.

    `rom`, the option ROM the guest sees: true is the function's own, false is none, text is the path of a file.
    `reset` is the kernel's word for the method it will use, or `hot`: a reset of the bus by VFIO. `resets`: what else
    is reset by it.
    """

    alias: str
    role: Literal["device", "companion", "detached"]
    host: HostDevice
    id: str
    name: str | None
    class_code: str
    group: int | None
    node: int | None
    reset: str | None
    driver: str | None
    guest: PciAddress | None
    bars: tuple[PlannedBar, ...]
    rom: bool | str
    source: Source | None
    resets: tuple[PciAddress, ...] = ()


@record
class MemoryLine:
    """One line of the guest's physical memory map. RAM has bank, pages and node; the rest says why it is there."""

    kind: Literal["ram", "mmio", "reserved"]
    start: Hex
    size: int
    bank: int | None = None
    pages: str | None = None
    node: int | None = None
    dma: bool = False
    why: str | None = None
    groups: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """ValueError for a line of nothing."""
        Span(self.start, self.size)


@record(many=True)
class Assumption:
    """A fact the plan rests on: `equals` it, or it is a number of at least `at_least`. JSON writes `is` for equals."""

    fact: str
    equals: Any = None
    at_least: int | None = None


@record
class Summary:
    can_run: Literal["yes", "no", "unknown"]
    blockers: int
    warnings: int
    host_changes: int
    locked_bytes: int


@record
class Plan:
    """Saved and read by plan.codec; `steps` in the order in which they are performed."""

    format_version: str
    vmlaunch: str
    name: str
    spec: SpecIdentity
    host: HostIdentity
    devices: tuple[PlannedDevice, ...]
    memory: tuple[MemoryLine, ...]
    steps: tuple[Step, ...]
    assumes: tuple[Assumption, ...]
    diagnostics: tuple[Diagnostic, ...]
    summary: Summary
    only: tuple[HostDevice, ...] | None = None  # the functions that it may touch; None: any

    def __post_init__(self) -> None:
        """It becomes a part of a path."""
        if not is_name(self.name):
            raise ValueError(f"{self.name!r} is not the name of a VM")
