"""Which nodes a plan's runner opens, by either of the kernel's two ways; and what nobody else may have open then."""

from __future__ import annotations

from pathlib import Path

import pytest

from launcher.executor.nodes import opened_by, taken_by
from launcher.plan.plan import Plan
from launcher.plan.steps import MapDma, OpenDevices, OpenGroups
from launcher.record import replace
from launcher.values import PciAddress
from tests.unit.executor.passing import by_iommufd, passing_plan

BY_GROUPS = {
    "/dev/kvm": (),
    "/dev/vfio/vfio": (),
    "/dev/vfio/1": ("drive",),
    "/dev/vfio/2": ("card",),
    "/dev/vfio/3": ("dual", "other"),
}
OWN = {f"/dev/vfio/devices/vfio{n}": (alias,) for n, alias in enumerate(("drive", "card", "dual", "other"))}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return passing_plan(tmp_path)


def node(address: PciAddress) -> str | None:
    """As sysfs names them: 0000:03:00.1 is the fourth."""
    return f"/dev/vfio/devices/vfio{address.bus - 1 + address.function}"


def no_group(_: object) -> None:
    return None


def test_by_type1_groups_are_opened_and_by_iommufd_the_functions_own_nodes(plan: Plan) -> None:
    assert opened_by(plan, node, no_group) == BY_GROUPS
    assert opened_by(by_iommufd(plan), node, no_group) == {"/dev/kvm": (), "/dev/iommu": (), **OWN}
    assert opened_by(by_iommufd(plan), lambda _: None, no_group) == {"/dev/kvm": (), "/dev/iommu": ()}


def test_whichever_way_it_goes_nobody_may_have_a_device_by_the_other(plan: Plan) -> None:
    all_of_them = {*BY_GROUPS, *OWN, "/dev/iommu"} - {"/dev/kvm"}
    assert taken_by(plan, node) == taken_by(by_iommufd(plan), node) == all_of_them


def test_a_vm_without_devices_takes_none(plan: Plan) -> None:
    steps = tuple(step for step in plan.steps if not isinstance(step, OpenGroups | MapDma | OpenDevices))
    assert opened_by(replace(plan, steps=steps), node, no_group) == {"/dev/kvm": ()}
    assert taken_by(replace(plan, steps=steps), node) == set()
