"""The state folder of a VM in; the plan it runs by out, and the host as it was before that plan changed it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from launcher.codec import DecodeError
from launcher.errors import Diagnostic, Refused
from launcher.plan.codec import plan_from_json
from launcher.plan.steps import BindDriver, LoadModules, OpenGroups
from launcher.record import replace
from launcher.vms.folder_state import PLAN
from launcher.vms.looking import is_up, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.host.facts import HostFacts, IommuGroup, PciFunction
    from launcher.plan.plan import Plan


def running_plan(folder: Path) -> Plan | None:
    """None: no VM of that name is up. One whose plan another version of vmlaunch wrote is refused."""
    if not is_up(folder) or (plain := read_json(folder / PLAN)) is None:
        return None
    try:
        return plan_from_json(plain)
    except DecodeError as error:
        fact = f"failed to read the plan of {folder.name}, which is up: {error}"
        raise Refused(Diagnostic("E515", fact)) from None


def as_before(host: HostFacts, running: Plan) -> HostFacts:
    """What a running VM has changed is no difference to a plan: its drivers and modules, its groups and their nodes."""
    bound = {step.address: step for step in running.steps if isinstance(step, BindDriver)}
    opened = {number for step in running.steps if isinstance(step, OpenGroups) for number in step.groups}
    loaded = {name for step in running.steps if isinstance(step, LoadModules) for name in step.modules}
    paths = {f"/dev/vfio/{name}" for name in ("vfio", *opened)}
    assumed = {one.fact: one.equals for one in running.assumes}
    modules, nodes = host.linux.modules, host.device_nodes
    return replace(
        host,
        pci=tuple(_unbound(one, bound.get(one.address), assumed.get(f"pci[{one.address}]")) for one in host.pci),
        groups=tuple(_given_back(one) if one.number in opened else one for one in host.groups),
        linux=replace(host.linux, modules=modules and tuple(name for name in modules if name not in loaded)),
        device_nodes=nodes and tuple(replace(one, holders=()) if one.path in paths else one for one in nodes),
    )


def _unbound(one: PciFunction, step: BindDriver | None, assumed: Any) -> PciFunction:
    """Only while it is where the step has put it. Of some devices the host's driver alone knows the serial number."""
    if step is None or one.driver != step.driver:
        return one
    serial = assumed.get("serial") if isinstance(assumed, dict) else None
    return replace(one, driver=step.before, driver_override=step.override, vfio=None, serial=one.serial or serial)


def _given_back(group: IommuGroup) -> IommuGroup:
    """A group of VFIO's is of the type `unmanaged`; what it was before does not matter to a plan."""
    return replace(group, kind="DMA") if group.kind == "unmanaged" else group
