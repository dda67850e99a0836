"""The plan's IOMMU groups in; address spaces that their functions are in, with guest RAM in each, out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from launcher.errors import Diagnostic, StepFailed
from launcher.executor.runner.devices.dma import DmaMaps
from launcher.executor.runner.live import Live
from launcher.executor.runner.refused_bind import refused_bind, refused_group
from launcher.kernel.api import AddressSpace, AddressSpaces, OtherNode
from launcher.plan.steps import MapDma, OpenGroups, OpenIommufd
from launcher.row import NamedTuple
from launcher.values import Mdev, Span


class OpenedGroups(NamedTuple):
    """What open_groups makes. It stays when the guest reboots."""

    spaces: AddressSpaces
    maps: tuple[DmaMaps, ...]  # of each space
    made: Mapping[Mdev, int]  # the groups of mediated devices that the plan has made


_NAMES = "a container is to have it by the name that it has on the host: `ls -l /dev/vfio/devices` shows numbers"


def open_groups(step: OpenGroups, live: Live) -> None:
    made = _made(step.made, live)
    _open((*step.groups, *made.values()), live.kernel.address_spaces(), made, live)


def open_iommufd(step: OpenIommufd, live: Live) -> None:
    """The kernel says nothing of groups here, by which VMs keep apart: a plan that was edited may."""
    for one in step.functions:
        if one.group is not None and live.kernel.drivers.group(one.address) != one.group:
            raise _failed("E524", f"{one.address} is not in IOMMU group {one.group}")
    made = _made([one.address for one in step.functions if one.group is None and isinstance(one.address, Mdev)], live)
    members = {group: [one.address for one in step.functions if one.group == group] for group in step.groups}
    members |= {group: [address] for address, group in made.items()}
    _open(tuple(members), live.kernel.iommufd(members, by_process=step.locks == "process"), made, live)


def _made(addresses: Sequence[Mdev], live: Live) -> dict[Mdev, int]:
    """Their groups, which the kernel has made up with them."""
    found = {address: live.kernel.drivers.group(address) for address in addresses}
    for address, group in found.items():
        if group is None:
            raise _failed("E524", f"{address} has no IOMMU group: no driver has it")
    return {address: group for address, group in found.items() if group is not None}


def _open(groups: Sequence[int], spaces: AddressSpaces, made: Mapping[Mdev, int], live: Live) -> None:
    """All groups before any address space."""
    for group in groups:
        try:
            spaces.open_group(group)
        except OtherNode as error:
            raise _failed("E524", f"{error.filename} is of another device: {error.strerror}", _NAMES) from error
        except OSError as error:
            if known := refused_group(group, error, live.kernel.drivers):
                raise known from error
            raise
        live.on_undo(partial(spaces.close_group, group))
        if not spaces.viable(group):
            raise _failed("E521", f"IOMMU group {group} is not usable: the host holds a part of it")
    if spaces.keeps_devices:  # until their group is closed, when they are reset
        live.on_undo(live.let_out)
    found: dict[AddressSpace, DmaMaps] = {}
    for group in groups:
        try:
            space = spaces.join(group)
        except OSError as error:
            if known := refused_bind(group, error, live.kernel.drivers):
                raise known from error
            raise
        live.on_undo(partial(spaces.leave, group))
        found.setdefault(space, DmaMaps(space)).groups.append(group)
    live.make(OpenedGroups(spaces, tuple(found.values()), made))


def map_dma(step: MapDma, live: Live) -> None:
    """Each byte of RAM once for each address space. One call pins a range, and says nothing before it is over; that the
    last is over says the step's end."""
    spaces, done = live.the(OpenedGroups).maps, 0
    total = len(spaces) * sum(one.size for one in step.ranges)
    for maps in spaces:
        _check_limits(step, maps.space)
        for one in step.ranges:
            maps.map_ram(one, live.banks[one.bank])
            live.on_undo(partial(maps.unmap, Span(one.guest, one.size)))
            if (done := done + one.size) < total:
                live.progress(done, total)


def _check_limits(step: MapDma, space: AddressSpace) -> None:
    """By name, before any map."""
    ranges = space.limits().ranges
    for one in step.ranges:
        span = Span(one.guest, one.size)
        if ranges and not any(free.covers(span) for free in ranges):
            raise _failed("E522", f"the IOMMU does not translate all of {span}, where guest RAM is")


def _failed(code: str, message: str, way_out: str = "plan again") -> StepFailed:
    return StepFailed(Diagnostic(code, message, help=(way_out,)))
