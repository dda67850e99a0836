"""A spec and the hosts that were asked for it in, a Job for a scheduler out: what to ask for, and where.

A scheduler counts kinds and types; a spec may say more (a serial number, a slot, an address). What cannot be asked for
is checked by `--only env` when the job runs, and said in the job's notes.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import PurePath

from launcher.api.inventories import facts_at, texts_in
from launcher.api.units import by_kind
from launcher.errors import Refused, Where
from launcher.foreign.job import OWN, HostFile, Job, Want
from launcher.foreign.slices import check_node
from launcher.foreign.slurm_nodes import check_name
from launcher.foreign.units import MDEV, kind_of, type_of, type_of_mdev
from launcher.planner.firmware import own_file
from launcher.planner.functions import is_bridge
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from launcher.errors import Diagnostic
    from launcher.host.facts import HostFacts
    from launcher.plan.placement import HostAnswer, SpecPlacement
    from launcher.spec.load import Loaded
    from launcher.spec.parts import Device, Match, VmSpec
    from launcher.values import HostDevice

_HUGE = {"2MiB": 2 << 20, "1GiB": 1 << 30}
Demand = tuple[tuple[str, str], ...]  # kind and type of each unit, sorted


class Able(NamedTuple):
    """A host that can run it, and the device that each alias means there."""

    host: HostFacts
    devices: Mapping[str, HostDevice]


def job_from(
    loaded: Loaded, text: str, sets: Sequence[str], placed: SpecPlacement, hosts: str, *, kind: str
) -> tuple[Job, list[Diagnostic]]:
    """`placed` is what `place` says of the spec on `hosts`. A host whose name the scheduler cannot have is left out and
    told of: it would be a word of a script."""
    check = check_node if kind == "kubernetes" else check_name
    said: list[Diagnostic] = []
    named = [one for one in placed.hosts if _is_named(one, check, said)]
    fitting = {(one.file, one.line): one for one in named if one.fits}
    able, unable = {}, [one.host for one in named if not one.fits]
    for source, raw in texts_in(hosts):
        if (found := fitting.get((source.path, source.line))) and not isinstance(raw, Refused):
            try:
                able[found.rank] = Able(facts_at(raw, source), found.devices)
            except Refused as refused:  # what `place` did not have to look at is wrong
                said += refused.diagnostics
                unable.append(found.host)
    return job_of(loaded, text, sets, [able[rank] for rank in sorted(able)], unable), said


def _is_named(one: HostAnswer, check: Callable[[str], None], said: list[Diagnostic]) -> bool:
    try:
        check(one.host)
    except Refused as refused:
        said += (found.at(Where(one.file, one.line)) for found in refused.diagnostics)
        return False
    return True


def job_of(loaded: Loaded, text: str, sets: Sequence[str], able: Iterable[Able], unable: Sequence[str]) -> Job:
    """`able`, best first, is looked at once; `text` is that of the spec."""
    spec = loaded.spec
    demands = {one.host.name: demand_of(one) for one in able}
    wants, hosts = agreed(demands, any_type=_takes_any(spec.devices.values()))
    left = tuple(name for name in demands if name not in hosts)
    huge = Counter[int]()
    for bank in spec.memory:
        if size := _HUGE.get(bank.pages):
            huge[size] += bank.size // size
    path = os.path.abspath(loaded.file)
    return Job(
        spec.name,
        path,
        text,
        tuple(sets),
        spec.cpus.count,
        sum(bank.size for bank in spec.memory if bank.pages not in _HUGE) + OWN,
        dict(sorted(huge.items())),
        wants,
        tuple(hosts),
        (*left, *unable),
        tuple(spec.devices),
        tuple(_files(spec, PurePath(path).parent)),
        tuple(_nodes(spec)),
        tuple(_notes(spec, left)),
    )


def demand_of(one: Able) -> Demand:
    """Of each IOMMU group that it means one unit, and each mediated device, called as inventories call it."""
    functions = {str(found.address): found for found in one.host.pci}
    groups = {functions[name].group for name in map(str, one.devices.values()) if name in functions}
    members = [found for found in one.host.pci if found.group in groups and not is_bridge(found)]
    leaders: dict[int | None, tuple[str, str]] = {}
    for found in sorted(members, key=by_kind):
        leaders.setdefault(found.group, (kind_of(found.class_code, found.id), type_of(found.id)))
    mediated = {str(found.address): (MDEV, type_of_mdev(found.type)) for found in one.host.mediated}
    parts = (mediated[name] for name in map(str, one.devices.values()) if name in mediated)
    return tuple(sorted((*leaders.values(), *parts)))


def agreed(demands: Mapping[str, Demand], *, any_type: bool) -> tuple[tuple[Want, ...], list[str]]:
    """What the best host needs, and those that need the same. Where any type does, the kinds have to be the same."""
    best = next(iter(demands.values()), ())
    alike = [name for name, demand in demands.items() if _kinds(demand) == _kinds(best)]
    if any_type and len({demands[name] for name in alike}) > 1:
        return tuple(Want(kind, "", count) for kind, count in _kinds(best).items()), alike
    same = [name for name in alike if demands[name] == best]
    return tuple(Want(*unit, count) for unit, count in Counter(best).items()), same


def _kinds(demand: Demand) -> Counter[str]:
    return Counter(kind for kind, _ in demand)


def _takes_any(devices: Iterable[Device]) -> bool:
    """Each asks for a class, and for nothing else."""
    return all(one.match and one.match.class_ and one.match.id is None and not _says_more(one.match) for one in devices)


def _files(spec: VmSpec, folder: PurePath) -> Iterator[HostFile]:
    """Each once, in the order of the spec; whoever writes one of them may."""
    cloud, boot = spec.cloud_init, spec.boot
    read = [boot.kernel, boot.initrd, own_file(spec), *(one.rom for one in spec.devices.values())]
    read += [cloud.user_data, cloud.meta_data, cloud.network_config] if cloud else []
    named = [(one, False) for one in read] + [(boot.variables, True)]
    named += [(one.path or one.socket, not one.readonly or one.path is None) for one in spec.disks.values()]
    named += [(one.socket, True) for one in spec.nics.values()]
    named += [(one.path, not one.readonly) for one in spec.shares.values()]
    found: dict[str, bool] = {}
    for path, writable in named:
        if isinstance(path, str):
            whole = os.path.normpath(str(folder / path))
            found[whole] = found.get(whole, False) or writable
    yield from (HostFile(path, writable) for path, writable in found.items())


def _nodes(spec: VmSpec) -> Iterator[str]:
    yield "kvm"
    nics = spec.nics.values()
    if any(one.bridge or one.tap for one in nics):
        yield "tun"
        yield "vhost-net"
    elif any(one.user for one in nics):
        yield "tun"
    if spec.vsock is not None:
        yield "vhost-vsock"


def _notes(spec: VmSpec, left: Sequence[str]) -> Iterator[str]:
    if left:
        yield f"Not asked for: {len(left)} more that can run it with devices of other types."
    if named := [alias for alias, one in spec.devices.items() if one.pci is not None]:
        yield f"An address cannot be asked for ({', '.join(named)}): if another device is given, it is refused."
    if told := [alias for alias, one in spec.devices.items() if one.match and _says_more(one.match)]:
        yield f"Serial, slot, node or pf of {', '.join(told)} cannot be asked for: if it does not hold, it is refused."
    if spec.cpus.pin is not None:
        yield "`cpus.pin` names CPUs that the scheduler may have given to others."


def _says_more(match: Match) -> bool:
    return any(one is not None for one in (match.serial, match.slot, match.node, match.pf))
