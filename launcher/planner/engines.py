"""(spec, host, files) -> the steps by which disks, NICs and shares come to their engines. Pure.

What cannot be served is left out; a rule says why.
"""

from __future__ import annotations

from launcher.host.facts import ENGINES
from launcher.plan.virtio import (
    ConnectEngine,
    Image,
    MakeTap,
    OpenTap,
    ServedDisk,
    StartDiskEngine,
    StartShareEngine,
    StartUserNetwork,
)
from launcher.planner.served_by import format_of, server_of
from launcher.planner.virtio import USUAL_MTU, link_of, mtu_of, tap_name
from launcher.typed import TYPE_CHECKING
from launcher.values import Missing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from launcher.host.facts import HostFacts, Process, Program
    from launcher.images.boot_files import BootFiles
    from launcher.images.disk_files import Disk
    from launcher.plan.step import Step
    from launcher.plan.steps import RamRange
    from launcher.planner.served_by import Server
    from launcher.spec.parts import Disk as DiskOfSpec
    from launcher.spec.parts import Nic, VmSpec

DISKS, SHARES, USER_NETWORK = ENGINES
NOBODY = 65534


def engine_steps(spec: VmSpec, host: HostFacts, files: BootFiles, ranges: Sequence[RamRange]) -> tuple[Step, ...]:
    maps = mapped(ranges)
    return (
        *_disk_engines(spec, host, files, maps),
        *_connections("disks", spec.disks, files),
        *(step for alias, nic in spec.nics.items() if (step := _nic(alias, nic, spec.name, host, maps))),
        *_connections("nics", spec.nics, files),
        *_share_engines(spec, host, files, maps),
    )


def mapped(ranges: Sequence[RamRange]) -> int:
    """By an engine that maps each range from the beginning of its file on, as libvhost-user does."""
    return sum(one.offset + one.size for one in ranges)


def program_of(name: str, host: HostFacts) -> Program | None:
    """One that others could change is none."""
    found = host.serving.programs.get(name) if host.serving else None
    return None if found is None or found.loose else found


def _disk_engines(spec: VmSpec, host: HostFacts, files: BootFiles, maps: int) -> Iterator[StartDiskEngine]:
    """One for each owner."""
    program = program_of(DISKS, host)
    of_owner: dict[int, tuple[Server, list[ServedDisk]]] = {}
    for alias, one in spec.disks.items():
        found = files.disks.get(alias)
        if one.path is None or found is None or isinstance(found, Missing):
            continue
        if found.broken is None and found.top.format == format_of(one):  # a saved plan may say otherwise
            server = server_of(found.top.rights, host.process)
            of_owner.setdefault(server.uid, (server, []))[1].append(_served(alias, one, found))
    for server, disks in of_owner.values() if program else ():
        yield StartDiskEngine(program.path if program else "", server.uid, server.gid, tuple(disks), maps)


def _served(alias: str, one: DiskOfSpec, found: Disk) -> ServedDisk:
    images = tuple(Image(image.path, image.format, image.identity) for image in found.chain)
    return ServedDisk(alias, images, one.readonly, one.discard, one.queues)


def _connections(kind: str, entries: Mapping[str, DiskOfSpec | Nic], files: BootFiles) -> Iterator[ConnectEngine]:
    for alias, one in entries.items():
        found = files.sockets.get(f"{kind}.{alias}")
        if one.socket is not None and found is not None and not isinstance(found, Missing) and found.kind == "socket":
            yield ConnectEngine(alias, found.path, found.identity)


def _nic(alias: str, nic: Nic, name: str, host: HostFacts, maps: int) -> Step | None:
    if nic.user:
        return _user_network(alias, host, maps)
    link = link_of(nic, host.serving)
    if link is None:
        return None
    if nic.bridge is not None and link.kind == "bridge":
        return MakeTap(alias, tap_name(name, alias), link.name, mtu_of(nic, host.serving) or USUAL_MTU)
    return OpenTap(alias, link.name) if nic.tap is not None and link.kind == "tap" else None


def _user_network(alias: str, host: HostFacts, maps: int) -> StartUserNetwork | None:
    program = program_of(USER_NETWORK, host)
    if program is None or not program.vhost_user:
        return None
    root, who = host.process.uid == 0, host.process
    return StartUserNetwork(program.path, alias, None if root else who.uid, None if root else who.gid, maps)


def unprivileged(process: Process) -> tuple[int, int]:
    """What root's VM has of nobody's is nobody's."""
    return (NOBODY, NOBODY) if process.uid == 0 else (process.uid, process.gid)


def _share_engines(spec: VmSpec, host: HostFacts, files: BootFiles, maps: int) -> Iterator[StartShareEngine]:
    program = program_of(SHARES, host)
    for alias, share in spec.shares.items():
        found = files.shares.get(alias)
        if program is None or program.kind is None or found is None or isinstance(found, Missing):
            continue
        if found.kind == "directory":
            server = server_of(found.rights, host.process)
            yield StartShareEngine(
                program.path,
                program.kind,
                alias,
                found.path,
                found.identity,
                share.readonly,
                server.uid,
                server.gid,
                maps,
            )
