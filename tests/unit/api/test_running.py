"""What a running VM has changed on its host is no difference to a plan."""

from __future__ import annotations

from launcher.api.running import as_before
from launcher.host.facts import HostFacts
from launcher.plan.plan import Plan
from launcher.plan.steps import BindDriver, OpenGroups
from launcher.record import replace
from launcher.report.plan_diff import differences
from tests.planning import EXAMPLE, host, plan


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
