"""What happened: StepOutcome while a plan is carried out, Report at any time, Observer for those who watch. Pure."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.record import field, record
from launcher.typed import Literal, Protocol
from launcher.values import Hex

FORMAT_VERSION = "1.0"

State = Literal["started", "progress", "done", "failed", "undone", "not-undone"]
Phase = Literal["starting", "running", "stopping", "ended", "lost"]
Ending = Literal["power-off", "reset", "crash", "stopped", "killed", "failed", "lost"]


@record
class StepOutcome:
    """Step `n` (from 1, as in the plan) came to `state` after `seconds`. `done` of `total` bytes on the way."""

    n: int
    state: State
    seconds: float = 0.0
    done: int = 0
    total: int = 0
    note: str = ""


class Observer(Protocol):
    """Told of every outcome, in order. It must not raise and must not wait."""

    def __call__(self, outcome: StepOutcome) -> None: ...


@record
class VcpuReport:
    """`exits` counts returns from KVM_RUN to user space, None while not known; `host_cpu` is the pinned CPU."""

    index: int
    host_cpu: int | None
    exits: int | None


@record
class RamReport:
    guest: Hex
    size: int
    pages: str
    node: int | None
    populated: bool


@record
class BarReport:
    """How the plan says that a BAR is served, and how it is."""

    index: int
    size: int
    guest: Hex | None
    planned: Literal["mmap", "split", "trap"]
    served: Literal["mmap", "split", "trap"]


@record
class DeviceReport:
    """`vectors` are those that are enabled, not those that have fired: KVM takes them from VFIO and tells nobody."""

    alias: str
    host: str
    group: int | None  # None: of a mediated device that the plan has made
    guest: str
    interrupts: str
    vectors: int
    bars: tuple[BarReport, ...]
    state: str  # what was seen of it, and what had to be done without
    touched: bool | None = None  # the guest has written its command register, as Linux does while it looks around
    used: bool | None = None  # and has switched on its decoding or DMA with it
    decodes: tuple[Literal["ports", "memory"], ...] = ()  # now, of what its BARs are in


@record
class VirtioReport:
    """A disk, NIC, share or vsock as its driver uses it. `features` are those in use, or those offered before a driver
    has started; `starts` counts how often one has. `notified`: notifications of its driver that left the kernel."""

    alias: str
    kind: Literal["net", "blk", "fs", "vsock"]
    engine: Literal["vhost-net", "vhost-vsock", "vhost-user"]
    guest: str
    features: Hex
    queues: int
    vectors: int
    state: str
    starts: int
    notified: int


@record
class EngineReport:
    """A process that serves disks, a share or a network. It `runs`, has `ended` as it was told to, or `died` while the
    guest ran. `how` it ended, `measures` as those of the runner, and what one that died had `said` last. `writes`: what
    it may still write to, folders with all in them; `/`: its own sandbox and its user alone keep it from any.
    """

    aliases: tuple[str, ...]
    program: str
    pid: int
    uid: int
    state: Literal["runs", "ended", "died"]
    how: str
    measures: dict[str, str]
    said: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.program.rpartition('/')[2]} of {', '.join(self.aliases)}"


@record
class ContainerReport:
    """What the IOMMU groups that share a container have mapped for DMA: RAM once, and BARs as the guest placed them."""

    groups: tuple[int, ...]
    ram_maps: int  # calls of VFIO_IOMMU_MAP_DMA
    ram_bytes: int
    peer_maps: int


@record
class NodeReport:
    """A node of /dev by which the runner has KVM or devices. `aliases`: those of the devices that are had by this one
    alone. `handed`: whoever started us had opened it."""

    path: str
    aliases: tuple[str, ...]
    handed: bool


@record
class Unanswered:
    """A place where the guest looked for what is not there."""

    space: Literal["port", "memory"]
    address: Hex
    times: int


@record
class Counts:
    """What the guest did that nobody answers for: unclaimed reads gave all ones, unclaimed writes were dropped."""

    unclaimed_reads: int = 0
    unclaimed_writes: int = 0
    serial_written: int = 0
    serial_read: int = 0
    trapped: int = 0  # accesses to devices that were not mapped
    refused: int = 0  # of these, the device did not take
    variables_written: int = 0  # programs and erases of the flash that firmware keeps its variables in
    variables_lost: int = 0  # of these, the file did not take
    faults: int = 0  # of a vCPU on a BAR that the device did not answer at; it tried again
    unanswered: tuple[Unanswered, ...] = ()  # where unclaimed accesses went, the most first: of the first places


@record
class ReaderReport:
    """Who reads the guest's serial output, as `up`, `console` or `logs`. One of them may write to it."""

    name: str
    writer: bool
    behind: int  # bytes that it has not taken yet
    lost: int  # bytes that it was too slow for


@record
class End:
    """How the VM ended. `registers` only after a crash, and only where the CPU still has them."""

    how: Ending
    detail: str
    exit_code: int
    registers: dict[str, Hex] = field(default_factory=dict)


@record
class Report:
    """The VM as it is, or as it was. None: nobody knows, for its keeper died (`lost`)."""

    format_version: str
    name: str
    phase: Phase
    pid: int | None  # of the keeper
    started: str | None  # UTC, ISO 8601
    seconds: float | None  # since then
    ended: str | None = None  # as `started`
    runner: int | None = None  # its pid, while it lives
    vcpus: tuple[VcpuReport, ...] = ()
    halted: bool | None = None  # every vCPU has executed HLT with interrupts off, or was not started
    memory: tuple[RamReport, ...] = ()
    devices: tuple[DeviceReport, ...] = ()
    virtio: tuple[VirtioReport, ...] = ()
    engines: tuple[EngineReport, ...] = ()  # other processes that serve them
    containers: tuple[ContainerReport, ...] = ()
    nodes: tuple[NodeReport, ...] = ()  # that the runner opens, or was handed
    host_changes: tuple[str, ...] = ()  # made, and undone when the phase is ended
    console: str = ""  # where the guest's serial output is kept
    readers: tuple[ReaderReport, ...] = ()  # of it, now
    counts: Counts | None = field(default_factory=Counts)
    reboots: int | None = 0  # of the guest, in place
    steps: tuple[StepOutcome, ...] = ()
    end: End | None = None
    failed_undos: int | None = 0  # calls of the teardown that the kernel refused
    left_behind: tuple[str, ...] = ()  # commands that would put the host back
    confinement: dict[str, str] = field(default_factory=dict)  # of the runner: `on`, or why the kernel refused
    keeper_confinement: dict[str, str] = field(default_factory=dict)  # the same of the keeper
    keeper_writes: tuple[str, ...] = ()  # what the keeper may still write to: a folder and all in it, files
    standby: int | None = None  # the pid of the process that sets virtual functions back when the runner has gone
    standby_confinement: dict[str, str] = field(default_factory=dict)  # the same of that one
    diagnostics: tuple[Diagnostic, ...] = ()
