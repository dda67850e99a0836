"""A plan and the host as it is in; the plan to carry out, judged anew, out. Nothing is changed.

A plan that was saved is a spec with an answer. It may be old, and it may come from somebody else: the spec is planned
again, and what is refused then is refused, whatever the file says. So it can do nothing that its spec could not.
"""

from __future__ import annotations

from launcher.api.blocking import DENIALS, check_unclaimed, refuse
from launcher.api.only import narrowed
from launcher.errors import Diagnostic, Refused, StalePlan
from launcher.plan.step import Step
from launcher.plan.steps import LoadModules, OpenDevices, TakeMemory
from launcher.record import replace
from launcher.typed import TYPE_CHECKING, Any
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from launcher.errors import Where
    from launcher.host.facts import HostFacts
    from launcher.images.boot_files import BootFiles
    from launcher.plan.plan import Plan
    from launcher.spec.parts import VmSpec
    from launcher.values import HostDevice

MOST_TOLD = 12


def judge_here(plan: Plan, *, strict: bool, only: tuple[HostDevice, ...] | None = None) -> Plan:
    """On this host, with the files as they are now. `only`: what it may touch of what it was planned to."""
    from launcher.api.hosts import host_for
    from launcher.api.plans import files_of, leave_memory

    if only is not None:
        plan = replace(plan, only=narrowed(plan.only, only))
    spec = _spec_of(plan)
    host = host_for(spec)
    leave_memory(spec, host)
    return judge(plan, host, files_of(plan), strict=strict)


def judge(plan: Plan, host: HostFacts, files: BootFiles, *, strict: bool) -> Plan:
    """What nobody may or can do here comes first, then what the plan itself says is in its way: it is believed when it
    says no. Then what has changed since, and what is refused now.
    """
    from launcher.machine.boards import board_of
    from launcher.planner.rules.boot import check_boot
    from launcher.planner.rules.kvm import check_kvm

    denied = (one for one in check_boot(files, (), board_of(host.architecture).layout) if one.code in DENIALS)
    refuse((*check_kvm(host), *denied), strict=False)
    refuse(plan.diagnostics, strict=False)
    now = _planned_again(plan, host, files)
    check_unclaimed(now)
    _check_facts(plan, host, files)
    refuse(now.diagnostics, strict=strict)
    _check_steps(plan, now, host)
    return replace(now, vmlaunch=plan.vmlaunch, steps=plan.steps, assumes=plan.assumes)


def _planned_again(plan: Plan, host: HostFacts, files: BootFiles) -> Plan:
    from launcher.machine.boards import board_of
    from launcher.planner.decided import Terms
    from launcher.planner.make import plan_of

    spec = _spec_of(plan)
    named = {alias: one.rom for alias, one in spec.devices.items() if isinstance(one.rom, str)}
    roms = {alias: files.roms.get(alias, Missing("absent", rom)) for alias, rom in named.items()}
    places, found = _places(plan), _with_served(replace(files, roms=roms), spec)
    return plan_of(spec, plan.spec, host, found, Terms(places.get, plan.only), board_of(host.architecture))


def _with_served(files: BootFiles, spec: VmSpec) -> BootFiles:
    """What no step of the plan serves, though its spec names it, is as good as not there."""
    from launcher.planner.cloud_init import named_in_spec
    from launcher.planner.served_by import sockets_of

    disks = {alias: one.path for alias, one in spec.disks.items() if one.path is not None}
    shares = {alias: one.path for alias, one in spec.shares.items()}
    return replace(
        files,
        disks=_filled(files.disks, disks),
        shares=_filled(files.shares, shares),
        sockets=_filled(files.sockets, sockets_of(spec)),
        seed=_filled(files.seed, named_in_spec(spec)),
    )


def _filled(found: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, Any]:
    return {name: found.get(name, Missing("absent", path)) for name, path in wanted.items()}


def _spec_of(plan: Plan) -> VmSpec:
    from launcher.spec.resolved import read_resolved

    populated = {step.bank for step in plan.steps if isinstance(step, TakeMemory) and step.populate}
    try:
        return read_resolved(plan.spec.resolved, populated)
    except ValueError as error:
        raise Refused(Diagnostic("E515", f"the plan has no spec that is valid: {error}")) from None


def _places(plan: Plan) -> dict[str, Where]:
    """Where in its text the spec says what; known of what there was something to say of."""
    return {one.where.path: one.where for one in plan.diagnostics if one.where is not None}


def _check_facts(plan: Plan, host: HostFacts, files: BootFiles) -> None:
    from launcher.planner.assumptions import as_evidence, failed_assumptions

    if failed := failed_assumptions(plan, host, files):
        elsewhere = (f"planned for {plan.host.name}; this is {host.name}",) if plan.host.name != host.name else ()
        message = f"{plan.name}: the plan no longer fits this host"
        evidence = (*elsewhere, *as_evidence(failed))
        raise StalePlan(Diagnostic("E516", message, evidence=evidence, help=(_again(plan),)))


def _again(plan: Plan) -> str:
    spec = plan.spec.path
    return f"plan again: `vmlaunch plan {'SPEC' if spec in ('', '-') else spec} -o FILE`"


def _check_steps(plan: Plan, now: Plan, host: HostFacts) -> None:
    if plan.name == now.name and _compared(plan.steps, host) == _compared(now.steps, host):
        return
    from launcher.report.plan_diff import differences

    lines = [str(one) for one in differences(plan, now) if one.part == "steps"]
    more = (f"and {len(lines) - MOST_TOLD} more",) if len(lines) > MOST_TOLD else ()
    names = (f"~ name  {plan.name} -> {now.name}",) if plan.name != now.name else ()
    message = f"{plan.name}: the plan is not what its spec asks for"
    evidence = (*names, *lines[:MOST_TOLD], *more)
    raise StalePlan(Diagnostic("E544", message, evidence=evidence, help=(_again(plan),)))


def _compared(steps: tuple[Step, ...], host: HostFacts) -> list[Step]:
    """Modules that VFIO and vhost need may have been loaded meanwhile; how a device is reset is written for people."""
    from launcher.planner.modules import OF_NODES, needed

    modules = {*needed(host.linux), *needed(host.linux, "iommufd"), *OF_NODES.values()}
    others = (one for one in steps if not (isinstance(one, LoadModules) and modules.issuperset(one.modules)))
    return [_without_resets(one) if isinstance(one, OpenDevices) else one for one in others]


def _without_resets(step: OpenDevices) -> OpenDevices:
    return replace(step, devices=tuple(replace(one, reset=None) for one in step.devices))
