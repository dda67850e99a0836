"""What the tests of passed devices share: a host, a plan that passes all of it, a guest that uses all of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from launcher.kernel.api import SPACES, Event
from launcher.machine.pci import CONFIG_SIZE
from launcher.plan.plan import Plan
from launcher.plan.steps import (
    BarPlace,
    CreateVm,
    GiveMemory,
    MapDma,
    Member,
    OpenDevices,
    OpenGroups,
    OpenIommufd,
    Passed,
)
from launcher.plan.virtio import AddVirtio, Virtio
from launcher.record import replace
from launcher.values import KIB, PciAddress
from tests.fakes.host import FakeFunction, FakeHost, dual_card, nvme, old_card
from tests.unit.executor.runner.test_runner import plan_of

PORT, MEMORY, CONFIG = (next(n for n, name in SPACES.items() if name == kind) for kind in ("port", "memory", "config"))
DRIVE_BAR, CARD_PORTS, CARD_BAR, DUAL_BAR, OTHER_BAR = 0xC0000000, 0xC000, 0xC0010000, 0xC0020000, 0xC0030000
DRIVE, CARD, DUAL, OTHER = 3 * 8, 4 * 8, 5 * 8, 5 * 8 + 1  # the guest's slots and functions
TABLE = DRIVE_BAR + 0x2000
COMMAND, DECODE, MSIX, MSI = 0x04, 0x07, 0x40, 0x50
MESSAGE = 0xFEE00000
SOCKETS = Virtio("sockets", "vsock", "vhost-vsock", PciAddress(0, 0, 1, 0), 0xC0100000, 1, cid=7)


def host_of(*others: FakeFunction, apart: tuple[int, ...] = (2,), **more: object) -> FakeHost:
    """A drive; an old card whose group shares no container; two functions that only reset together; and `others`."""
    both = PciAddress.parse("0000:03:00.0"), PciAddress.parse("0000:03:00.1")
    functions = (
        nvme("0000:01:00.0", 1),
        old_card("0000:02:00.0", 2),
        dual_card("0000:03:00.0", 3, resets=False, together=both),
        dual_card("0000:03:00.1", 3, resets=False, together=both),
        *others,
    )
    return FakeHost(functions, apart=apart, **more)


def passing_plan(folder: Path, *others: Passed, served: tuple[Virtio, ...] = ()) -> Plan:
    """RAM in two ranges, four functions of three groups; and `others`, and virtio functions."""
    plan = plan_of(folder, vcpus=1)
    give = next(step for step in plan.steps if isinstance(step, GiveMemory))
    devices = (
        passed("drive", "0000:01:00.0", 1, DRIVE, BarPlace(0, "mem64", True, 16 * KIB, DRIVE_BAR, "split")),
        passed(
            "card", "0000:02:00.0", 2, CARD,
            BarPlace(0, "io", False, 256, CARD_PORTS, "trap"), BarPlace(1, "mem32", False, 256, CARD_BAR, "trap"),
        ),
        passed("dual", "0000:03:00.0", 3, DUAL, BarPlace(2, "mem32", False, 16 * KIB, DUAL_BAR, "split")),
        passed("other", "0000:03:00.1", 3, OTHER, BarPlace(2, "mem32", False, 16 * KIB, OTHER_BAR, "split")),
        *others,
    )  # fmt: skip
    steps = []
    for step in plan.steps:
        if isinstance(step, CreateVm):
            steps += [OpenGroups(tuple(sorted({one.group for one in devices}))), MapDma(give.ranges)]
        steps.append(step)
        if isinstance(step, GiveMemory):
            steps += [OpenDevices(devices), *([AddVirtio(served)] if served else [])]
    return replace(plan, steps=tuple(steps))


def by_iommufd(plan: Plan) -> Plan:
    """The same, by the nodes of its functions."""
    (devices,) = (step.devices for step in plan.steps if isinstance(step, OpenDevices))
    members = tuple(Member(one.address, one.group) for one in devices)
    steps = (OpenIommufd(members) if isinstance(step, OpenGroups) else step for step in plan.steps)
    return replace(plan, steps=tuple(steps))


def passed(alias: str, address: str, group: int, slot: int, *bars: BarPlace) -> Passed:
    return Passed(alias, PciAddress.parse(address), group, PciAddress(0, 0, slot // 8, slot % 8), bars, True, "flr")


def config(function: int, offset: int, value: int, size: int = 2) -> Event:
    return Event("write", (CONFIG, function * CONFIG_SIZE + offset, size, value))


def entry(vector: int, *, masked: bool = False) -> tuple[Event, ...]:
    """Of the drive's MSI-X table."""
    words = (MESSAGE, 0, 0x40 + vector, int(masked))
    return tuple(Event("write", (MEMORY, TABLE + 16 * vector + 4 * n, 4, word)) for n, word in enumerate(words))


def guest(*more: Iterable[Event]) -> tuple[tuple[Event, ...], ...]:
    """One vCPU that finds its devices, uses them in every way, and powers off after `more`."""
    decode = [config(slot, COMMAND, DECODE) for slot in (DRIVE, CARD, DUAL, OTHER)]
    msix = [config(DRIVE, MSIX + 2, 0xC000), *entry(0), *entry(1), *entry(2, masked=True)]
    msix += [config(DRIVE, MSIX + 2, 0x8000), *entry(2), *entry(0, masked=True), *entry(3)]
    msi = [
        config(DUAL, MSI + 4, MESSAGE, 4), config(DUAL, MSI + 8, 0, 4),
        config(DUAL, MSI + 12, 0x80), config(DUAL, MSI + 2, 0xA5),
    ]  # fmt: skip
    moved = [config(OTHER, COMMAND, 0), config(OTHER, 0x18, OTHER_BAR + 0x10000, 4), config(OTHER, COMMAND, DECODE)]
    read = [Event("read", (CONFIG, DRIVE * CONFIG_SIZE, 4, 0)), Event("read", (MEMORY, TABLE + 0x1000, 8, 0))]
    rest = [event for events in more for event in events]
    return ((*decode, *msix, *msi, *moved, *read, *rest, Event("power-off")),)
