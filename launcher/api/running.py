"""The state folder of a VM in; the plan it runs by out, and the host as it was before that plan changed it."""

from __future__ import annotations

from launcher.codec import DecodeError
from launcher.errors import Diagnostic, Refused
from launcher.plan.codec import plan_from_json
from launcher.plan.steps import (
    BindDriver,
    LoadModules,
    MakeMdev,
    MapDma,
    OpenIommufd,
    SetVirtualFunction,
    groups_opened,
)
from launcher.plan.virtio import OpenTap
from launcher.planner.modules import OF_NODES
from launcher.record import replace
from launcher.typed import TYPE_CHECKING, Any
from launcher.vms.folder_state import PLAN
from launcher.vms.looking import is_up, read_json

if TYPE_CHECKING:
    from pathlib import Path

    from launcher.host.facts import (
        HostFacts,
        Interface,
        IommuGroup,
        MediatedDevice,
        MediatedParent,
        PciFunction,
        Serving,
        VirtualFunction,
    )
    from launcher.plan.plan import Plan
    from launcher.values import Mdev, VfSettings


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
    opened = groups_opened(running.steps)
    loaded = {name for step in running.steps if isinstance(step, LoadModules) for name in step.modules}
    told = [step for step in running.steps if isinstance(step, SetVirtualFunction)]
    made = {step.address for step in running.steps if isinstance(step, MakeMdev)}
    devices: tuple[PciFunction | MediatedDevice, ...] = (*host.pci, *host.mediated)
    own = (one.vfio for one in devices if one.vfio and one.group in opened)
    paths = {"/dev/iommu", *(f"/dev/vfio/{name}" for name in ("vfio", *opened, *(f"devices/{one}" for one in own)))}
    assumed = {one.fact: one.equals for one in running.assumes}
    modules, nodes = host.linux.modules, host.device_nodes
    return replace(
        host,
        pci=tuple(
            _untold(_unbound(one, bound.get(one.address), assumed.get(f"pci[{one.address}]")), told) for one in host.pci
        ),
        groups=tuple(_given_back(one) if one.number in opened else one for one in host.groups),
        linux=replace(host.linux, modules=modules and tuple(name for name in modules if name not in loaded)),
        device_nodes=nodes and tuple(replace(one, holders=()) if one.path in paths else one for one in nodes),
        mediated=tuple(one for one in host.mediated if one.address not in made),
        mediated_parents=tuple(_unmade(one, host, made) for one in host.mediated_parents),
        process=replace(host.process, pinned=max(0, host.process.pinned - _pinned(running))),
        serving=host.serving and _unserved(host.serving, running, loaded),
    )


def _unmade(parent: MediatedParent, host: HostFacts, made: set[Mdev]) -> MediatedParent:
    """So many more of a type could be made as it has made."""
    mine = [one.type for one in host.mediated if one.address in made and one.parent == parent.name]
    types = (
        one if one.available is None else replace(one, available=one.available + mine.count(one.name))
        for one in parent.types
    )
    return replace(parent, types=tuple(types))


def _pinned(running: Plan) -> int:
    """Of what its user has pinned: by iommufd it counts for all his processes."""
    by_user = any(isinstance(step, OpenIommufd) and step.locks == "user" for step in running.steps)
    ranges = (one for step in running.steps if isinstance(step, MapDma) for one in step.ranges)
    return sum(one.size for one in ranges) if by_user else 0


def _unserved(serving: Serving, running: Plan, loaded: set[str]) -> Serving:
    """Nodes that came with a module it has loaded, and the taps that it has open."""
    came = {node for node, module in OF_NODES.items() if module in loaded}
    taps = {step.tap for step in running.steps if isinstance(step, OpenTap)}
    nodes = tuple(one for one in serving.nodes if one.path not in came)
    links = (replace(one, attached=False) if one.name in taps and one.attached else one for one in serving.links)
    return replace(serving, nodes=nodes, links=tuple(links))


def _unbound(one: PciFunction, step: BindDriver | None, assumed: Any) -> PciFunction:
    """Only while it is where the step has put it. Of some devices the host's driver alone knows the serial number."""
    if step is None or one.driver != step.driver:
        return one
    serial = assumed.get("serial") if isinstance(assumed, dict) else None
    return replace(one, driver=step.before, driver_override=step.override, vfio=None, serial=one.serial or serial)


def _untold(one: PciFunction, told: list[SetVirtualFunction]) -> PciFunction:
    """What its virtual functions were given before, each field only while it is as the step has set it."""
    steps = {step.number: step for step in told if step.physical == one.address}
    if not steps:
        return one
    return replace(one, interfaces=tuple(replace(each, functions=_as_given(each, steps)) for each in one.interfaces))


def _as_given(one: Interface, steps: dict[int, SetVirtualFunction]) -> tuple[VirtualFunction, ...] | None:
    if one.functions is None:
        return None
    return tuple(replace(each, settings=_as_was(each, steps.get(each.number))) for each in one.functions)


def _as_was(one: VirtualFunction, step: SetVirtualFunction | None) -> VfSettings:
    here, after = one.settings.said(), step.after.said() if step else {}
    same = [name for name in after if here.get(name) == after[name]]
    return replace(one.settings, **step.before.only(same).said()) if step else one.settings


def _given_back(group: IommuGroup) -> IommuGroup:
    """A group of VFIO's is of the type `unmanaged`; what it was before does not matter to a plan."""
    return replace(group, kind="DMA") if group.kind == "unmanaged" else group
