"""(VmSpec, HostFacts, BootFiles, Terms, Board) -> Plan. Pure: one is always made and says itself whether it can run."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.plan.plan import FORMAT_VERSION, HostIdentity, Plan, SpecIdentity, Summary
from launcher.plan.step import Step
from launcher.plan.steps import (
    PUT_BACK,
    CreateVm,
    DescribeMachine,
    GiveMemory,
    KeepState,
    MapDma,
    Member,
    OpenDevices,
    OpenGroups,
    OpenIommufd,
    Passed,
    PassedMdev,
    RunVcpus,
    TakeMemory,
)
from launcher.plan.virtio import AddVirtio
from launcher.planner.assuming import assumptions
from launcher.planner.backend import NAMES
from launcher.planner.bars import high_window, place_bars, spans_of_bars
from launcher.planner.boot import load_initrd, load_kernel
from launcher.planner.choose_backend import backend_of
from launcher.planner.decided import Situation
from launcher.planner.devices import binding_steps, pass_devices, passed_functions, planned_devices
from launcher.planner.memory import PAGE_SIZES, place_memory, span_of
from launcher.planner.modules import loading_step, nodes_opened
from launcher.planner.needs import counts_by_process, locks, planned_topology, populates
from launcher.planner.networks import network_steps
from launcher.planner.places import located
from launcher.planner.regions import left_empty, memory_map, reserved_by
from launcher.planner.resets import planned_resets
from launcher.planner.rules.table import findings
from launcher.planner.served_by import wanted_engines
from launcher.planner.widths import address_bits, widths
from launcher.record import replace
from launcher.typed import TYPE_CHECKING
from launcher.values import guest_uuid
from launcher.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.host.facts import HostFacts
    from launcher.images.boot_files import BootFiles
    from launcher.machine.board import Board, Layout
    from launcher.planner.decided import Terms
    from launcher.planner.fit import Judged
    from launcher.spec.parts import Bank, VmSpec
    from launcher.values import Span


def plan_of(spec: VmSpec, source: SpecIdentity, host: HostFacts, files: BootFiles, terms: Terms, board: Board) -> Plan:
    """`source` is the text the spec came from."""
    it = _decide(spec, host, files, terms, board)
    steps, diagnostics = _steps(it), located(findings(it), terms.where)
    return Plan(
        format_version=FORMAT_VERSION,
        vmlaunch=VERSION,
        name=spec.name,
        spec=source,
        host=_host_identity(it),
        devices=it.devices,
        memory=memory_map(spec.memory, it.ranges, it.reserved, it.devices, _layout(it)),
        steps=steps,
        assumes=assumptions(it),
        diagnostics=diagnostics,
        summary=_summary(diagnostics, steps, it.locked),
        only=terms.only,
    )


def judged(spec: VmSpec, host: HostFacts, files: BootFiles, terms: Terms, board: Board) -> Judged:
    """What `plan_of` would say of a host, without what only a plan that is saved or carried out needs."""
    from launcher.planner.fit import Judged, distance

    it = _decide(spec, host, files, terms, board)
    steps, diagnostics = _steps(it), located(findings(it), terms.where)
    return Judged(it.devices, steps, diagnostics, _summary(diagnostics, steps, it.locked), distance(it))


def _decide(spec: VmSpec, host: HostFacts, files: BootFiles, terms: Terms, board: Board) -> Situation:
    """Devices come first: what their IOMMU groups reserve is no place for RAM, and RAM is none for BARs."""
    passing = pass_devices(spec, host, terms)
    bounds = widths(host, (one.function for one in passing.taken))
    bits = address_bits(bounds)
    reserved = reserved_by(passing.groups)
    spans = [one.span for one in reserved]
    ranges = place_memory(spec.memory, spans, board.layout)
    places = place_bars(passing.functions, [span_of(one) for one in ranges], spans, bits, board.layout)
    resets = planned_resets(passing, host)
    devices = planned_devices(passing, files, places, resets, terms.where)
    it = Situation(
        spec=spec,
        host=host,
        files=files,
        board=board,
        host_functions={one.address: one for one in host.pci},
        passing=passing,
        devices=devices,
        resets=resets,
        ranges=ranges,
        reserved=reserved,
        widths=bounds,
        bits=bits,
        locked=sum(bank.size for bank in spec.memory) if locks(spec) else 0,
        backend=backend_of(spec, host, (*passing.functions, *(one.device for one in passing.mediated if one.device))),
        terms=terms,
    )
    if spec.boot.firmware is not None:
        it = _with_firmware(it)
    return _with_served(it, [*(span_of(one) for one in ranges), *spans]) if wanted_engines(spec) is not None else it


def _with_firmware(it: Situation) -> Situation:
    from launcher.planner.firmware import chosen

    return replace(it, firmware=chosen(it.spec, it.host, it.files))


def _starting_steps(it: Situation) -> tuple[Step | None, ...]:
    """A kernel and its initial RAM disk, or firmware."""
    if it.spec.boot.firmware is None:
        layout = it.board.layout
        return load_kernel(it.files.kernel, it.spec.boot.cmdline), load_initrd(it.files, it.ranges, layout)
    from launcher.planner.firmware import load_firmware

    return (load_firmware(it),)


def _opening_steps(it: Situation) -> tuple[Step | None, ...]:
    if it.spec.boot.variables is None:
        return ()
    from launcher.planner.firmware import open_variables

    return (open_variables(it),)


def _with_served(it: Situation, taken: Sequence[Span]) -> Situation:
    """Behind all others, which do not move for it: it is not imported for a VM that has none of it."""
    from launcher.planner.engines import engine_steps
    from launcher.planner.virtio import functions_of, places_of

    engines = (*engine_steps(it.spec, it.host, it.files, it.ranges), *_seed(it))
    places = places_of(it.spec, [*taken, *spans_of_bars(it.devices)], it.board.layout)
    return replace(it, engines=engines, places=places, virtio=functions_of(it.spec, it.host, places, engines))


def _seed(it: Situation) -> tuple[Step, ...]:
    """The disk of cloud-init."""
    if it.spec.cloud_init is None:
        return ()
    from launcher.planner.cloud_init import seed_step
    from launcher.planner.virtio import macs_of

    step = seed_step(it.spec, it.host, it.files, macs_of(it.spec), it.ranges)
    return () if step is None else (step,)


def _steps(it: Situation) -> tuple[Step, ...]:
    """In the order in which they are performed. What cannot be done is left out; a diagnostic says why."""
    spec, host, passing, ranges = it.spec, it.host, it.passing, it.ranges
    passed: tuple[Passed | PassedMdev, ...] = (*passed_functions(passing, it.devices), *_mediated(it))
    groups = bool(passing.opened) or any(one.group is None for one in passed)
    shared = any(one.engine == "vhost-user" for one in it.virtio)  # processes map it, too
    maybe = (
        KeepState(f"{host.process.state_folder}/{spec.name}") if host.process.state_folder else None,
        loading_step(host, by=it.backend if groups else None, pci=it.passes_pci, nodes=nodes_opened(it.virtio)),
        *binding_steps(passing.taken),
        *network_steps(it),
        *_making(it),
        *it.engines,
        *_opening_steps(it),
        *(_take(number, bank, spec, shared) for number, bank in enumerate(spec.memory)),
        _open(it, passed),
        MapDma(ranges, locks=locks(spec)) if groups and (passed or it.backend == "type1") else None,
        CreateVm(),
        GiveMemory(ranges),
        OpenDevices(passed) if passed else None,
        AddVirtio(it.virtio) if it.virtio else None,
        *_starting_steps(it),
        _describe(it),
        RunVcpus(spec.cpus.count, spec.cpus.pin or (), spec.confine),
    )
    return tuple(step for step in maybe if step is not None)


def _mediated(it: Situation) -> tuple[PassedMdev, ...]:
    if not it.passing.mediated:
        return ()
    from launcher.planner.mediated import passed_mediated

    return tuple(passed_mediated(it, it.devices))


def _making(it: Situation) -> tuple[Step, ...]:
    if not it.passing.mediated:
        return ()
    from launcher.planner.mediated import making_steps

    return tuple(making_steps(it))


def _open(it: Situation, passed: tuple[Passed | PassedMdev, ...]) -> Step | None:
    """By iommufd only what the guest gets: the rest of a group is held with it."""
    groups = it.passing.opened
    if it.backend == "type1":
        made = tuple(one.address for one in passed if isinstance(one, PassedMdev) and one.group is None)
        return OpenGroups(groups, made) if groups or made else None
    members = tuple(Member(one.address, one.group) for one in passed)
    return OpenIommufd(members, "process" if counts_by_process(it.host.process) else "user") if members else None


def _layout(it: Situation) -> Layout:
    """With the firmware where it is."""
    if it.firmware is None:
        return it.board.layout
    from launcher.planner.firmware import layout_with

    return layout_with(it.board.layout, it.firmware)


def _describe(it: Situation) -> DescribeMachine:
    cpus, layout = it.spec.cpus, it.board.layout
    topology = planned_topology(cpus) if cpus.topology else None
    window, reserved = high_window(it.devices, layout), left_empty(it.reserved, layout)
    if it.passing.mediated:
        from launcher.planner.mediated import room_of, window_with

        window = window_with(window, room_of(it))
    if it.firmware is not None and window is not None:
        from launcher.planner.firmware import window_of

        window = window_of(window, it.ranges, layout)
    name = it.spec.name
    return DescribeMachine(cpus.count, window, reserved, topology, cpus.nested, name, guest_uuid(name))


def _take(number: int, bank: Bank, spec: VmSpec, shared: bool) -> TakeMemory:
    return TakeMemory(number, bank.size, PAGE_SIZES[bank.pages], bank.node, populates(bank, spec), shared)


def _host_identity(it: Situation) -> HostIdentity:
    host = it.host
    kind = host.iommu.kind if host.iommu else None
    return HostIdentity(
        host.name,
        host.kernel,
        kind,
        NAMES[it.backend] if it.passing.mediated or (it.spec.devices and host.iommu) else None,
    )


def _summary(diagnostics: tuple[Diagnostic, ...], steps: tuple[Step, ...], locked: int) -> Summary:
    blockers = sum(one.severity == "error" for one in diagnostics)
    unread = any(one.code == "W216" for one in diagnostics)
    return Summary(
        can_run="no" if blockers else "unknown" if unread else "yes",
        blockers=blockers,
        warnings=len(diagnostics) - blockers,
        host_changes=sum(isinstance(step, PUT_BACK) for step in steps),
        locked_bytes=locked,
    )
