"""What runner and keeper have found in; the Report, at any time, out."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import gmtime, monotonic, strftime

from launcher.errors import Diagnostic, StepFailed
from launcher.kernel.api import GivenUp
from launcher.plan.outcome import (
    FORMAT_VERSION,
    ContainerReport,
    Counts,
    DeviceReport,
    End,
    EngineReport,
    NodeReport,
    Phase,
    RamReport,
    Report,
    StepOutcome,
    VcpuReport,
    VirtioReport,
)
from launcher.plan.plan import Plan
from launcher.plan.steps import PUT_BACK, GiveMemory, RunVcpus, TakeMemory
from launcher.record import replace


class Records:
    def __init__(self, plan: Plan, console: str) -> None:
        self._plan = plan
        self._console = console
        self._started, self._clock = _now(), monotonic()
        self._ended: tuple[str, float] | None = None
        self._steps: dict[int, StepOutcome] = {}
        self._counts = Counts()
        self._exits: tuple[int, ...] = ()
        self._halted: bool | None = None
        self.phase: Phase = "starting"
        self.runner: int | None = None
        self.end: End | None = None
        self.diagnostics: tuple[Diagnostic, ...] = ()
        self.reboots = 0
        self.left_behind: tuple[str, ...] = ()
        self._devices: dict[str, DeviceReport] = {}  # by their host address
        self.engines: Callable[[], tuple[EngineReport, ...]] = tuple
        self._virtio: dict[str, VirtioReport] = {}
        self.containers: tuple[ContainerReport, ...] = ()
        self.nodes: tuple[NodeReport, ...] = ()
        self._failed_undos = 0
        self.confinement: dict[str, str] = {}
        self.given_up = GivenUp({})

    def over(self) -> None:
        """The VM has ended; clients may still have to hear of it."""
        self.phase = "ended"
        self._ended = self._ended or (_now(), monotonic())

    def outcome(self, outcome: StepOutcome) -> None:
        """The last word on each step counts, but its duration is that of the doing."""
        self._failed_undos += outcome.state == "not-undone"
        if outcome.state in ("done", "failed", "not-undone"):
            self._steps[outcome.n] = outcome

    def note(self, one: Diagnostic) -> None:
        """Each only once."""
        if one not in self.diagnostics:
            self.diagnostics += (one,)

    def fail(self, found: tuple[Diagnostic, ...]) -> None:
        """How the VM ends; what is found is more telling than what was noted before."""
        self.diagnostics = (*found, *(one for one in self.diagnostics if one not in found))
        self.end = End("failed", found[0].message, StepFailed.exit_code)

    def written(self, count: int) -> None:
        """Bytes on the serial console: the keeper sees them in the ring, whatever becomes of the runner."""
        self._counts = replace(self._counts, serial_written=count)

    def numbers(self, counts: Counts, exits: tuple[int, ...], *, halted: bool) -> None:
        self._counts, self._exits, self._halted = counts, exits, halted

    def device(self, one: DeviceReport) -> None:
        self._devices[one.host] = one

    def virtio(self, one: VirtioReport) -> None:
        self._virtio[one.alias] = one

    def report(self) -> Report:
        return Report(
            format_version=FORMAT_VERSION,
            name=self._plan.name,
            phase=self.phase,
            pid=os.getpid(),
            runner=self.runner,
            started=self._started,
            seconds=round((self._ended[1] if self._ended else monotonic()) - self._clock, 3),
            ended=self._ended[0] if self._ended else None,
            vcpus=self._vcpus(),
            halted=self._halted,
            memory=self._memory(),
            devices=tuple(self._devices.values()),
            virtio=tuple(self._virtio.values()),
            engines=self.engines(),
            containers=self.containers,
            nodes=self.nodes,
            host_changes=tuple(one.describe() for one in self._plan.steps if isinstance(one, PUT_BACK)),
            console=self._console,
            counts=self._counts,
            reboots=self.reboots,
            steps=tuple(self._steps[n] for n in sorted(self._steps)),
            end=self.end,
            failed_undos=self._failed_undos,
            left_behind=self.left_behind,
            confinement=self.confinement,
            keeper_confinement=self.given_up.measures,
            keeper_writes=self.given_up.writable,
            standby=self.given_up.standby,
            standby_confinement=self.given_up.of_standby or {},
            diagnostics=self.diagnostics,
        )

    def _vcpus(self) -> tuple[VcpuReport, ...]:
        run = next(one for one in self._plan.steps if isinstance(one, RunVcpus))
        pins: tuple[int | None, ...] = run.pin or (None,) * run.count
        exits = self._exits or (None,) * run.count
        return tuple(VcpuReport(n, pin, count) for n, (pin, count) in enumerate(zip(pins, exits, strict=True)))

    def _memory(self) -> tuple[RamReport, ...]:
        banks = {one.bank: one for one in self._plan.steps if isinstance(one, TakeMemory)}
        ranges = next(one.ranges for one in self._plan.steps if isinstance(one, GiveMemory))
        return tuple(
            RamReport(r.guest, r.size, banks[r.bank].pages, banks[r.bank].node, banks[r.bank].populate) for r in ranges
        )


def _now() -> str:
    return strftime("%Y-%m-%dT%H:%M:%S+00:00", gmtime())
