"""(VmSpec, HostFacts, BootFiles) -> Plan. Pure: a plan is always made, and says itself whether it can run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from launcher.errors import Diagnostic
from launcher.plan.plan import FORMAT_VERSION, HostIdentity, Plan, SpecIdentity, Summary
from launcher.plan.steps import (
    CreateVm,
    DescribeMachine,
    GiveMemory,
    KeepState,
    MapDma,
    OpenDevices,
    OpenGroups,
    RamRange,
    RunVcpus,
    Step,
    TakeMemory,
)
from launcher.planner.assumptions import assumptions
from launcher.planner.bars import high_window, place_bars
from launcher.planner.boot import load_initrd, load_kernel
from launcher.planner.devices import Passthrough, binding_steps, pass_devices, passed_functions, planned_devices
from launcher.planner.limits import populates
from launcher.planner.memory import PAGE_SIZES, place_memory, span_of
from launcher.planner.places import Locate, located
from launcher.planner.regions import memory_map, reserved_by
from launcher.planner.rules.rule import Situation
from launcher.planner.rules.table import findings
from launcher.values import Missing
from launcher.version import VERSION

if TYPE_CHECKING:
    from launcher.host.facts import BootFiles, HostFacts
    from launcher.plan.plan import PlannedDevice
    from launcher.spec.model import Bank, VmSpec


def make_plan(spec: VmSpec, source: SpecIdentity, host: HostFacts, files: BootFiles, where: Locate) -> Plan:
    """`source` is the text the spec came from; `where` knows the place of each field in it."""
    passing, bits = pass_devices(spec, host), address_bits(spec, host)
    reserved = reserved_by(passing.groups)
    ranges = place_memory(spec.memory, [one.span for one in reserved])
    ram = [span_of(one) for one in ranges]
    ram_end = max((one.end for one in ram), default=0)
    places = place_bars(passing.functions, ram_end, [*ram, *(one.span for one in reserved)], bits)
    devices = planned_devices(passing, files, places, where)
    steps = _steps(spec, host, files, passing, ranges, devices)
    locked = sum(bank.size for bank in spec.memory) if spec.devices else 0
    situation = Situation(
        spec=spec,
        host=host,
        files=files,
        functions={one.address: one for one in host.pci},
        passing=passing,
        devices=devices,
        ranges=ranges,
        reserved=reserved,
        bits=bits,
        locked=locked,
    )
    diagnostics = located(findings(situation), where)
    return Plan(
        format_version=FORMAT_VERSION,
        vmlaunch=VERSION,
        name=spec.name,
        spec=source,
        host=_host_identity(spec, host),
        devices=devices,
        memory=memory_map(spec.memory, ranges, reserved, devices),
        steps=steps,
        assumes=assumptions(spec, host, files, passing, ram_end),
        diagnostics=diagnostics,
        summary=_summary(diagnostics, steps, locked),
    )


def _steps(
    spec: VmSpec,
    host: HostFacts,
    files: BootFiles,
    passing: Passthrough,
    ranges: tuple[RamRange, ...],
    devices: tuple[PlannedDevice, ...],
) -> tuple[Step, ...]:
    """In the order in which they are performed. What cannot be done is left out; a diagnostic says why."""
    groups = tuple(group.number for group in passing.groups)
    passed = passed_functions(passing, devices)
    maybe = (
        KeepState(f"{host.process.state_folder}/{spec.name}") if host.process.state_folder else None,
        *binding_steps(passing.taken),
        *(_take(number, bank, spec) for number, bank in enumerate(spec.memory)),
        OpenGroups(groups) if groups else None,
        MapDma(ranges) if groups else None,
        CreateVm(),
        GiveMemory(ranges),
        OpenDevices(passed) if passed else None,
        load_kernel(files.kernel, spec.boot.cmdline),
        load_initrd(files, ranges),
        DescribeMachine(spec.cpus.count, high_window(devices)),
        RunVcpus(spec.cpus.count, spec.cpus.pin or ()),
    )
    return tuple(step for step in maybe if step is not None)


def _take(number: int, bank: Bank, spec: VmSpec) -> TakeMemory:
    return TakeMemory(number, bank.size, PAGE_SIZES[bank.pages], bank.node, populates(bank, spec))


def address_bits(spec: VmSpec, host: HostFacts) -> int | None:
    """Of guest addresses: what KVM can give, and with devices what the IOMMU can translate. None: not known."""
    widths = [] if isinstance(host.kvm, Missing) else [host.kvm.physical_bits]
    if spec.devices and host.iommu and host.iommu.address_bits:
        widths.append(host.iommu.address_bits)
    return min(widths, default=None)


def _host_identity(spec: VmSpec, host: HostFacts) -> HostIdentity:
    kind = host.iommu.kind if host.iommu else None
    return HostIdentity(host.name, host.kernel, kind, "VFIO type1" if spec.devices and host.iommu else None)


def _summary(diagnostics: tuple[Diagnostic, ...], steps: tuple[Step, ...], locked: int) -> Summary:
    blockers = sum(one.severity == "error" for one in diagnostics)
    unread = any(one.code == "W216" for one in diagnostics)
    return Summary(
        can_run="no" if blockers else "unknown" if unread else "yes",
        blockers=blockers,
        warnings=len(diagnostics) - blockers,
        host_changes=sum(step.mark == "~" for step in steps),
        locked_bytes=locked,
    )
