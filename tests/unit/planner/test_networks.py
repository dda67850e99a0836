"""`network:` of a virtual function: what a plan makes of it, what it rests on, and what a VM that is up has changed."""

from __future__ import annotations

from typing import Any

import pytest

from launcher.api.running import as_before
from launcher.api.staleness import judge
from launcher.errors import StalePlan
from launcher.host.facts import HostFacts, Interface, Limit, VirtualFunction
from launcher.host.redact import redacted
from launcher.plan.plan import Plan
from launcher.plan.steps import BindDriver, SetVirtualFunction, StaysBound
from launcher.record import replace
from launcher.values import NO_MAC, PciAddress, VfSettings, Vlan
from tests.catalogue.driver_hosts import NIC, VF
from tests.catalogue.row import with_function, with_process
from tests.planning import FILES, codes, host, plan

NOW = VfSettings("02:00:00:00:3b:13", Vlan(7, 3, "802.1ad"), trust=False, spoofcheck=True)
MINE = "52:54:00:12:34:56"


def spec(network: str, more: str = "vf: 3") -> str:
    device = f"nic: {{pci: {NIC}, {more}, network: {network}}}"
    return f"boot: {{kernel: ./bzImage, initrd: ./initrd.img}}\ncpus: 2\nmemory: 1GiB\ndevices: {{{device}}}\n"


def facts(now: VfSettings = NOW, **fields: Any) -> HostFacts:
    """Its first interface says nothing of virtual functions, as a representor's or a second port's."""
    functions = (VirtualFunction(0, VfSettings(NO_MAC, Vlan(0), trust=True, spoofcheck=True)), VirtualFunction(3, now))
    silent, speaking = Interface("eth0", None, up=True, functions=()), Interface("eth1", None, up=True)
    return with_function(host("gpu07"), NIC, interfaces=(silent, replace(speaking, functions=functions)), **fields)


def told(made: Plan) -> list[SetVirtualFunction]:
    return [step for step in made.steps if isinstance(step, SetVirtualFunction)]


def test_a_plan_says_what_it_was_and_what_it_becomes() -> None:
    made = plan(spec(f"{{mac: '{MINE.upper()}', vlan: 100, spoofcheck: false}}"), facts())
    (step,) = told(made)
    before = VfSettings(NOW.mac, NOW.vlan, spoofcheck=True)
    after = VfSettings(MINE, Vlan(100), spoofcheck=False)
    number = PciAddress.parse(VF), PciAddress.parse(NIC), 3, "eth1"
    assert step == SetVirtualFunction(*number, before, after)
    assert codes(made) == []
    assert made.summary.host_changes == 2


def test_it_comes_behind_the_drivers_so_that_it_is_put_back_before_them() -> None:
    steps = plan(spec(f"{{mac: '{MINE}'}}"), facts()).steps
    last = max(n for n, step in enumerate(steps) if isinstance(step, (BindDriver, StaysBound)))
    assert isinstance(steps[last + 1], SetVirtualFunction)


def test_what_is_as_wanted_is_not_set_and_needs_no_rights() -> None:
    user = with_process(facts(replace(NOW, mac=MINE)), capabilities=("cap_sys_admin",))
    made = plan(spec(f"{{mac: '{MINE}', trust: false}}"), user)
    assert told(made) == []
    assert codes(made) == []


def test_only_what_differs_is_set() -> None:
    (step,) = told(plan(spec(f"{{mac: '{MINE}', trust: false, spoofcheck: true}}"), facts()))
    assert list(step.after.said()) == ["mac"]


def test_a_vlan_of_0_takes_the_tag_away() -> None:
    (step,) = told(plan(spec("{vlan: 0}"), facts()))
    assert step.describe().endswith("vf 3 of eth1: VLAN 7 qos 3 802.1ad -> none")


def test_of_the_companions_of_a_device_nothing_is_set() -> None:
    made = plan(spec(f"{{mac: '{MINE}'}}", "vf: 3, companions: attach"), facts())
    assert [step.number for step in told(made)] == [3]


def test_a_virtual_function_that_is_found_by_its_card_is_set_as_well() -> None:
    device = f"nic: {{match: {{pf: {NIC}}}, pick: free, network: {{trust: true}}}}"
    text = f"boot: {{kernel: ./bzImage}}\ncpus: 2\nmemory: 1GiB\ndevices: {{{device}}}\n"
    vfs = {f"0000:3b:01.{n}": "vfio-pci" if n else None for n in range(4)}
    on = facts()
    for address, driver in vfs.items():
        on = with_function(on, address, driver=driver)
    functions = (VirtualFunction(0, NOW),)
    on = with_function(on, NIC, interfaces=(Interface("eth1", None, up=True, functions=functions),))
    assert [(step.number, step.after.trust) for step in told(plan(text, on))] == [(0, True)]


def test_a_mac_that_is_given_is_not_random() -> None:
    bare = facts(replace(NOW, mac=NO_MAC))
    assert "W243" in codes(plan(spec("{trust: true}"), bare))
    assert "W243" not in codes(plan(spec(f"{{mac: '{MINE}'}}"), bare))


def test_hosts_that_were_recorded_before_still_say_which_have_no_mac() -> None:
    old = with_function(host("gpu07"), NIC, interfaces=(Interface("eth0", None, up=True, without_mac=(3,)),))
    assert "W243" in codes(plan(spec("{trust: true}"), old))


def test_a_saved_plan_rests_on_what_it_sets_and_on_nothing_else_of_it() -> None:
    made = plan(spec(f"{{mac: '{MINE}'}}"), facts())
    judge(made, facts(replace(NOW, trust=True, vlan=Vlan(5))), FILES, strict=False)
    with pytest.raises(StalePlan) as stale:
        judge(made, facts(replace(NOW, mac="02:00:00:00:00:07")), FILES, strict=False)
    said = " ".join(line for one in stale.value.diagnostics for line in (one.message, *one.evidence))
    assert "interfaces[eth1].functions[3].settings.mac" in said


def test_what_a_vm_that_is_up_has_set_is_no_difference_and_what_others_did_is() -> None:
    running = plan(spec(f"{{mac: '{MINE}', vlan: 100}}"), facts())
    up = facts(replace(NOW, mac=MINE, vlan=Vlan(100)))
    assert as_before(up, running).pci == as_before(facts(), running).pci
    other = facts(replace(NOW, mac="02:00:00:00:00:07", vlan=Vlan(100)))
    card = next(one for one in as_before(other, running).pci if str(one.address) == NIC)
    assert card.interfaces[1].function(3) == replace(NOW, mac="02:00:00:00:00:07")


def test_a_facts_file_that_is_shared_has_no_mac_of_a_virtual_function() -> None:
    card = next(one for one in redacted(facts()).pci if str(one.address) == NIC)
    assert [one.settings.mac for one in card.interfaces[1].functions or ()] == [NO_MAC, "02:00:00:00:00:00"]


def test_the_process_that_sets_it_back_is_counted() -> None:
    """`up`, keeper, runner, standby and two vCPUs."""
    for most, fits in ((5, False), (6, True)):
        limited = with_process(facts(), task_limits=(Limit("/vms.slice", most, 1),))
        assert ("E426" not in codes(plan(spec(f"{{mac: '{MINE}'}}"), limited))) == fits
        assert "E426" not in codes(plan(spec("{trust: false}"), limited))
