"""What a running VM has changed on its host is no difference to a plan."""

from __future__ import annotations

import pytest

from launcher.api.running import as_before
from launcher.host.facts import DeviceNode, Holder, HostFacts, MediatedDevice
from launcher.plan.plan import Plan
from launcher.plan.steps import BindDriver, OpenGroups
from launcher.record import replace
from launcher.report.plan_diff import differences
from launcher.values import Mdev
from tests.planning import EXAMPLE, SMALL, codes, host, plan


def changed_by(made: Plan, facts: HostFacts) -> HostFacts:
    """As sysfs shows it while the VM is up."""
    bound = {step.address: step.driver for step in made.steps if isinstance(step, BindDriver)}
    opened = {number for step in made.steps if isinstance(step, OpenGroups) for number in step.groups}
    pci = (
        replace(one, driver=bound[one.address], driver_override=bound[one.address]) if one.address in bound else one
        for one in facts.pci
    )
    groups = (replace(one, kind="unmanaged") if one.number in opened else one for one in facts.groups)
    return replace(facts, pci=tuple(pci), groups=tuple(groups))


def test_the_plan_of_a_running_vm_is_made_again_without_a_difference() -> None:
    gpu07, text = host("gpu07"), EXAMPLE.read_text()
    running = plan(text, gpu07)
    now = changed_by(running, gpu07)
    assert differences(running, plan(text, now))
    assert differences(running, plan(text, as_before(now, running))) == ()


def test_what_somebody_else_did_since_is_a_difference() -> None:
    gpu07, text = host("gpu07"), EXAMPLE.read_text()
    running = plan(text, gpu07)
    now = changed_by(running, gpu07)
    (first, *_) = [step.address for step in running.steps if isinstance(step, BindDriver)]
    moved = tuple(replace(one, driver="nvme") if one.address == first else one for one in now.pci)
    before = as_before(replace(now, pci=moved), running)
    assert next(one for one in before.pci if one.address == first).driver_override == "vfio-pci"


GPU = MediatedDevice(
    Mdev("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"), "mtty-2", None, "vfio-pci", "mtty", "mtty", None, 70, "vfio0"
)
FREE = tuple(DeviceNode(f"/dev/vfio/{name}", 0o600, 0, 0, usable=True) for name in ("70", "devices/vfio0"))


@pytest.mark.parametrize("way", ["type1", "iommufd"])
def test_a_mediated_device_that_it_has_open_is_no_difference(way: str) -> None:
    text = f"{SMALL}devices: {{card: {{mdev: {GPU.address}}}}}\nvfio: {way}\n"
    others = tuple(one for one in host("gpu07").device_nodes or () if one.path != "/dev/vfio/70")
    before = replace(host("gpu07"), mediated=(GPU,), device_nodes=(*others, *FREE))
    running = plan(text, before)
    group, own = FREE
    holders = (Holder(7, "vmlaunch"),)
    held = (replace(group, holders=holders), own) if way == "type1" else (group, replace(own, holders=holders))
    now = replace(before, device_nodes=(*others, *held))
    assert codes(plan(text, now)) == ["E229"]
    again = plan(text, as_before(now, running))
    assert (codes(again), differences(running, again)) == ([], ())
