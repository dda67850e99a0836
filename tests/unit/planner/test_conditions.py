"""What is said of single devices, and what is kept quiet."""

from __future__ import annotations

from launcher.errors import Diagnostic
from launcher.host.facts import Config, HostFacts, Msix
from launcher.plan.plan import Plan
from launcher.record import replace
from launcher.values import Missing
from tests.catalogue.row import with_function, with_linux
from tests.planning import codes, host, plan

START = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices:\n"
DISK = START + "  disk: 0000:02:00.0\n"
CONFIG = "/sys/bus/pci/devices/0000:02:00.0/config"
ASLEEP = Missing("asleep", CONFIG)


def disk(**fields: object) -> HostFacts:
    return with_function(host("gpu07"), "0000:02:00.0", **fields)


def found(made: Plan, code: str) -> list[Diagnostic]:
    return [one for one in made.diagnostics if one.code == code]


# ---- what is not known ----


def test_an_idle_device_sleeps_and_that_is_no_news() -> None:
    made = plan(DISK, disk(config=ASLEEP, link=Missing("asleep", "/sys/x/current_link_width")))
    assert codes(made) == []


def test_a_sleeping_device_on_a_host_without_msi_may_have_no_interrupt_at_all() -> None:
    (one,) = found(plan(DISK, with_linux(disk(config=ASLEEP), cmdline="pci=nomsi")), "W216")
    assert "the configuration space of 0000:02:00.0 (asleep: " in one.message
    assert any("vmlaunch devices --deep" in line for line in one.help)


def test_configuration_space_that_is_denied_is_said_once_though_two_rules_want_it() -> None:
    denied = disk(config=Missing("denied", CONFIG), bars=())
    (one,) = found(plan(DISK, with_linux(denied, cmdline="pci=nomsi")), "W216")
    assert one.message.startswith("disk: configuration space can only be read by root")


def test_a_sleeping_device_that_shows_no_bar_may_have_one_without_an_address() -> None:
    assert found(plan(DISK, disk(config=ASLEEP, bars=())), "W216")


def test_one_warning_lists_all_that_is_unknown_of_a_device() -> None:
    facts = disk(reset=Missing("denied", "/sys/x/reset_method"), bars=Missing("unreadable", "/sys/x/resource"))
    groups = (replace(one, reserved=Missing("denied", "/sys/y")) if one.number == 14 else one for one in facts.groups)
    (one,) = found(plan(DISK, replace(facts, groups=tuple(groups))), "W216")
    assert one.message == (
        "disk: how 0000:02:00.0 is reset (denied: /sys/x/reset_method), the BARs of 0000:02:00.0 "
        "(unreadable: /sys/x/resource) and the reserved regions of IOMMU group 14 (denied: /sys/y) could not be read"
    )
    assert one.help == ("plan as root", "`up` looks again before its first change")


# ---- interrupts ----


def test_a_device_with_intx_does_without_msi() -> None:
    facts = disk(config=Config(pin=1, msix=Msix(33, 0, 0x2000, 0, 0x3000)), irq=11)
    assert codes(plan(DISK, with_linux(facts, cmdline="pci=nomsi"))) == []


def test_a_line_that_leads_nowhere_is_none() -> None:
    assert "W257" in codes(plan(DISK, disk(config=Config(pin=1), irq=0)))


def test_broken_intx_is_shown_where_an_administrator_wants_it() -> None:
    facts = disk(config=Config(pin=1), id="8086:1563")
    assert "W257" in codes(plan(DISK, facts))
    assert "W257" not in codes(plan(DISK, with_linux(facts, parameters={"vfio_pci.nointxmask": "Y"})))


def test_kvm_routes_no_more_than_it_says() -> None:
    facts = disk(config=Config(pin=1, msix=Msix(2048, 0, 0x2000, 0, 0x30000)))
    assert not isinstance(facts.kvm, Missing)
    few = replace(facts.kvm, extensions={**facts.kvm.extensions, "irq_routing": 1024})
    (one,) = found(plan(DISK, replace(facts, kvm=few)), "W259")
    assert one.evidence == ("KVM routes 1024 interrupts of one VM, 38 of them its chips'", "disk 2048")


def test_a_detached_companion_needs_no_interrupt() -> None:
    facts = with_function(host("gpu07"), "0000:c1:00.1", config=Config())
    assert "W257" not in codes(plan(START + "  gpu: {pci: 0000:c1:00.0, companions: detach}\n", facts))
    assert "W257" in codes(plan(START + "  gpu: {pci: 0000:c1:00.0, companions: attach}\n", facts))


# ---- others ----


def test_a_dead_device_is_said_to_be_dead_and_no_more() -> None:
    assert codes(plan(DISK, disk(config=Config(dead=True)))) == ["E250"]


def test_a_file_for_the_rom_makes_its_shadow_not_matter() -> None:
    facts = with_function(host("gpu07"), "0000:c1:00.0", rom="shadow")
    assert "W255" not in codes(plan(START + "  gpu: {pci: 0000:c1:00.0, companions: attach, rom: false}\n", facts))


def test_node_distances_follow_the_ids_of_the_nodes() -> None:
    facts = host("gpu07")
    far = (replace(facts.nodes[0], distances=(10, 32)), replace(facts.nodes[1], id=4, distances=(32, 10)))
    text = DISK.replace("memory: 1GiB", "memory: [{size: 1GiB, node: 4}]")
    (one,) = found(plan(text, replace(facts, nodes=far)), "W214")
    assert one.evidence == ("from node 0 to node 4 the distance is 32; 10 is local",)
