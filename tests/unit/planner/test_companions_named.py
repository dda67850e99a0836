"""Companions that the guest gets have names of their own, which the runner's words about them need."""

from __future__ import annotations

from launcher.plan.outcome import DeviceReport
from launcher.plan.steps import OpenDevices
from launcher.vms.words import Hearing, say
from tests.planning import SMALL, host, plan


def test_each_function_of_a_group_has_a_name_and_is_heard_by_it():
    made = plan(SMALL + "devices: {gpu: {pci: 0000:c1:00.0, companions: attach, allow: [in-use]}}\n", host("gpu07"))
    (step,) = (one for one in made.steps if isinstance(one, OpenDevices))
    assert [one.alias for one in step.devices] == ["gpu", "gpu+1"]
    hearing = Hearing(made)
    for one in step.devices:
        report = DeviceReport(one.alias, str(one.address), one.group, one.guest.guest, "msi", 1, (), "memory on")
        assert hearing.read(say(report)) == report
