"""A saved plan on a host that has changed: which fact is named, old and new. And what is no change."""

from __future__ import annotations

from typing import Any

import pytest

from launcher.host.facts import Bar, Config, DeviceNode, Holder, HostFacts, Msix, Power, Use
from launcher.plan.plan import Assumption
from launcher.plan.steps import LoadModules
from launcher.planner.assumptions import failed_assumptions
from launcher.planner.named_facts import NamedFacts, question
from launcher.record import replace
from launcher.values import GIB, Missing
from tests.catalogue.row import with_function, with_linux, with_process
from tests.planning import EXAMPLE, FILES, host, plan

DISK = "0000:02:00.0"
ON_DISK = f"boot: {{kernel: ./bzImage}}\ncpus: 2\nmemory: 1GiB\ndevices: {{disk: {DISK}}}\n"
ASLEEP = Missing("asleep", f"/sys/bus/pci/devices/{DISK}/config")


def failed(now: HostFacts, text: str = ON_DISK, before: HostFacts | None = None) -> list[str]:
    return [str(one) for one in failed_assumptions(plan(text, before or host("gpu07")), now, FILES)]


def disk(**fields: Any) -> HostFacts:
    return with_function(host("gpu07"), DISK, **fields)


def config(**fields: Any) -> Config:
    (one,) = (one for one in host("gpu07").pci if str(one.address) == DISK)
    assert isinstance(one.config, Config)
    return replace(one.config, **fields)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        (disk(uses=(Use("mounted", "nvme0n1p2 on /data", "/data"),)), "uses: nothing -> mounted /data"),
        (disk(config=config(msix=Msix(8, 0, 0x3000, 0, 0x2000))), "config.msix.vectors: 33 -> 8"),
        (disk(config=config(msix=Msix(33, 0, 0x4000, 0, 0x2000))), "config.msix.table_offset: 0x3000 -> 0x4000"),
        (disk(config=config(flr=False)), "config.flr: yes -> no"),
        (disk(boot_vga=True), "boot_vga: no -> yes"),
        (disk(bars=(Bar(0, "mem64", False, 0, 16384),)), "bars[0].start: assigned -> not assigned"),
        (disk(reset=Missing("denied", "/sys/x")), "reset: flr, bus -> denied"),
        (disk(reset=("bus",)), "reset: flr, bus -> bus"),
        (disk(driver=None), "driver: nvme -> nothing"),
    ],
)
def test_of_a_device_the_smallest_fact_that_differs_is_named(now: HostFacts, said: str):
    assert failed(now)[0] == f"pci[{DISK}].{said}"


def test_a_device_that_is_gone_is_told_once():
    gone = replace(host("gpu07"), pci=tuple(one for one in host("gpu07").pci if str(one.address) != DISK))
    assert failed(gone) == [f"pci[{DISK}]: 144d:a809 -> not there"]


def test_facts_of_the_kernel_and_of_the_process_have_their_own_names():
    facts = host("gpu07")
    assert failed(with_linux(facts, remapping=False)) == ["linux.remapping: yes -> no"]
    assert failed(with_linux(facts, cmdline="quiet pcie_acs_override=downstream")) == [
        "linux.cmdline: nothing -> pcie_acs_override=downstream"
    ]
    assert failed(with_process(facts, uid=1000)) == ["process.uid: 0 -> 1000"]
    assert failed(replace(facts, kernel="6.6.1")) == ["release: 6.12 -> 6.6"]


@pytest.mark.parametrize(
    "fact",
    [
        *("", "files", "[]", "pci[=]", "pci[colour=red]", "pci[first=two]", f"pci[first={'9' * 5000}]"),
        *("pci[node=%ff]", "pci[class=03 first=1].driver", "kernel.release", "cpus[x=1]", "pci.pci"),
    ],
)
@pytest.mark.parametrize(("assumed", "said"), [(7, "nothing"), ({"kernel": {}}, "not there")])
def test_what_no_plan_of_ours_asks_is_not_there(fact: str, assumed: object, said: str):
    edited = replace(plan(ON_DISK, host("gpu07")), assumes=(Assumption(fact, equals=assumed),))
    assert [one.found for one in failed_assumptions(edited, host("gpu07"), FILES)] == [said]


def ready(name: str, **fields: Any) -> HostFacts:
    """The disk has this vfio-dev, and may be opened."""
    node = replace(DeviceNode(f"/dev/vfio/devices/{name}", 0o600, 0, 0, usable=True), **fields)
    return replace(disk(driver="vfio-pci", vfio=name), device_nodes=(*(host("gpu07").device_nodes or ()), node))


def test_the_name_of_a_devices_own_node_is_another_after_each_bind_and_its_state_is_assumed():
    assert failed(ready("vfio5"), before=ready("vfio3")) == []
    held = ready("vfio5", usable=False, holders=(Holder(7, "qemu"),))
    assert failed(held, before=ready("vfio3")) == [
        f"own_nodes[{DISK}].usable: yes -> no",
        f"own_nodes[{DISK}].holders: nothing -> qemu",
    ]
    assert failed(disk(driver="vfio-pci", vfio=None), before=ready("vfio3")) == [
        f"pci[{DISK}].vfio: a node -> nothing",
        f"own_nodes[{DISK}]: usable -> not there",
    ]


def test_what_the_administrator_does_beside_vfio_fails_nothing():
    facts = host("gpu07")
    assert failed(replace(with_linux(facts, cmdline="quiet", vectors=999), kernel="6.12.10-rt")) == []


def unloaded(*modules: str, **fields: Any) -> HostFacts:
    return with_linux(host("gpu07"), modules=modules, loadable=("vfio_pci", "vfio_iommu_type1"), **fields)


def test_modules_that_the_plan_loads_may_have_been_loaded_meanwhile():
    before = unloaded("kvm")
    loaded = ("kvm", "vfio", "vfio_pci", "vfio_iommu_type1")
    parameters = {"vfio_pci.nointxmask": "N", "vfio_iommu_type1.dma_entry_limit": "65535"}
    assert LoadModules(("vfio_pci", "vfio_iommu_type1")) in plan(ON_DISK, before).steps
    assert failed(unloaded(*loaded, parameters=parameters), before=before) == []
    assert failed(unloaded(*loaded), before=before) == []


def test_a_graphics_card_takes_part_in_legacy_vga_before_and_after_vfio_pci_is_loaded():
    text = ON_DISK.replace(DISK, "0000:e1:00.0")
    before = unloaded("kvm", config={"VFIO_PCI": "m", "VFIO_PCI_VGA": "y", "VFIO_GROUP": "y", "VFIO_CONTAINER": "y"})
    now = with_linux(before, modules=("vfio_pci", "vfio_iommu_type1"), parameters={"vfio_pci.disable_vga": "N"})
    assert "W254" in [one.code for one in plan(text, before).diagnostics]
    assert failed(now, text, before=before) == []
    off = with_linux(now, parameters={"vfio_pci.disable_vga": "Y"})
    assert failed(off, text, before=before) == ["linux.options[vfio_pci.disable_vga]: N -> Y"]


def test_modules_that_can_no_longer_be_loaded_and_options_that_matter_fail_it():
    before = unloaded("kvm")
    assert failed(with_linux(before, loadable=("vfio_pci",)), before=before) == [
        "linux.obtainable[vfio_iommu_type1]: yes -> no"
    ]
    limited = unloaded("vfio_pci", "vfio_iommu_type1", parameters={"vfio_iommu_type1.dma_entry_limit": "1"})
    assert failed(limited, before=before) == ["linux.options[vfio_iommu_type1.dma_entry_limit]: 65535 -> 1"]


def test_a_module_that_was_loaded_and_is_not_any_more_fails_it():
    before = unloaded("vfio_pci", "vfio_iommu_type1")
    assert failed(unloaded("vfio_pci"), before=before) == [
        "linux.modules[vfio_iommu_type1]: vfio_iommu_type1 -> nothing"
    ]


def test_an_idle_use_that_was_allowed_may_end_and_one_that_holds_data_may_not_begin():
    text = ON_DISK.replace(DISK, f"{{pci: {DISK}, allow: [in-use]}}")
    shell = Use("process", "bash (7) has /dev/nvme0 open", "bash", 7)
    swap = Use("swap", "nvme0n1p3 is swap", "/dev/nvme0n1p3")
    assert failed(disk(), text, before=disk(uses=(shell,))) == []
    assert failed(disk(uses=(shell,)), text) == [f"pci[{DISK}].uses: nothing -> process bash"]
    assert failed(disk(uses=(swap,)), text, before=disk(uses=(shell,))) == [
        f"pci[{DISK}].uses: nothing -> swap /dev/nvme0n1p3"
    ]


def test_fewer_cpus_matter_when_they_have_too_few_vectors_for_the_devices():
    facts = host("gpu07")
    many = disk(config=config(msix=Msix(2048, 0, 0x3000, 0, 0x2000)))
    assert failed(replace(many, cpus=facts.cpus[:20]), before=many) == []
    assert failed(replace(many, cpus=facts.cpus[:8]), before=many)[0].startswith("free_vectors: at least 2048 -> ")


def test_whoever_comes_onto_or_leaves_a_shared_interrupt_line_is_seen():
    before = with_function(disk(irq=21, config=Config(pin=1)), "0000:81:00.0", irq=21)
    now = with_function(before, "0000:81:00.0", driver=None)
    assert failed(now, before=before) == ["pci[0000:81:00.0].driver: nvme -> nothing"]


def test_without_devices_the_kernel_does_not_matter():
    text = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\n"
    assert failed(replace(with_linux(host("gpu07"), remapping=False), kernel="5.10", iommu=None, pci=()), text) == []


def test_a_device_that_fell_asleep_or_woke_up_is_the_same_and_a_dead_one_is_not():
    assert failed(disk(config=ASLEEP, power=Power("D3hot", "suspended", "auto", True))) == []
    assert failed(host("gpu07"), before=disk(config=ASLEEP)) == []
    assert failed(disk(config=Config(dead=True)), before=disk(config=ASLEEP)) == [f"pci[{DISK}].config: asleep -> dead"]


def test_another_device_that_matches_too_is_found():
    facts = host("gpu07")
    twin = with_function(facts, DISK, serial="S4EWNX0R123456")
    assert f"pci[class=nvme serial=S4EWNX0R123456]: 0000:81:00.0 -> {DISK}, 0000:81:00.0" in failed(
        twin, EXAMPLE.read_text()
    )


def test_of_free_devices_only_those_before_the_one_that_was_taken_matter():
    text = ON_DISK.replace(DISK, "{match: {class: gpu}, pick: free}")
    freed = with_function(host("gpu07"), "0000:c1:00.0", driver="vfio-pci")
    assert failed(freed, text) == ["pci[0000:c1:00.0].driver: nvidia -> vfio-pci"]
    behind = ON_DISK.replace(DISK, "{match: {class: nvme}, pick: free}")
    free = with_function(host("gpu07"), DISK, driver=None)
    assert failed(with_function(free, "0000:81:00.0", driver=None), behind, before=free) == []


def test_bounds_hold_as_long_as_there_is_enough():
    facts = host("gpu07")
    less = replace(facts, memory=replace(facts.memory, available=GIB))
    assert failed(less) == []
    too_little = replace(facts, memory=replace(facts.memory, available=GIB - 1))
    assert failed(too_little) == [f"memory.available: at least {GIB} -> {GIB - 1}"]


def test_a_question_may_have_any_text_in_it():
    odd = "S 4]=%"
    facts = NamedFacts(disk(serial=odd), FILES)
    assert [str(one) for one in facts.find(question(serial=odd))] == [DISK]


def test_what_is_below_a_bridge_is_found_through_all_buses():
    facts = NamedFacts(host("gpu-server"), FILES)
    below = [str(one) for one in facts.find(question(below="0000:e0:01.0"))]
    assert below[0] == "0000:e1:00.0"
    assert {"0000:e2:03.0", "0000:e6:00.0"} <= set(below)


def test_a_file_that_is_gone_has_no_checksum_that_differs():
    gone = replace(FILES, kernel=Missing("absent", "/vms/bzImage"))
    (told,) = failed_assumptions(plan(ON_DISK, host("gpu07")), host("gpu07"), gone)
    assert (told.path, told.found) == ("/vms/bzImage", "absent")
    assert str(told).startswith("/vms/bzImage (files.kernel): ")


@pytest.mark.parametrize(
    "path", ["__init__", "__class__", "__init__.__globals__", "__eq__.__builtins__", "__defaults__"]
)
def test_what_is_no_field_is_no_fact(path: str):
    """A saved plan may name anything."""
    assert NamedFacts(host("gpu07"), FILES).find(f"linux.{path}") is None
