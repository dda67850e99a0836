"""What the host's memory, limits and IOMMUs allow: numbers in messages, and what takes part in them."""

from __future__ import annotations

import pytest

from launcher.host.facts import Bar, HostFacts, Iommu, IommuUnit, Limit
from launcher.planner.needs import OWN_MEMORY, spare_memory
from launcher.planner.widths import address_bits, widths
from launcher.record import replace
from launcher.spec.load import load_spec
from launcher.values import GIB, MIB, Missing
from tests.catalogue.row import with_function
from tests.planning import codes, host, plan

BOOT = "boot: {kernel: ./bzImage}\ncpus: 2\n"
DISK = "devices: {disk: 0000:02:00.0}\n"


@pytest.fixture
def gpu07() -> HostFacts:
    return host("gpu07")


def only(made, code: str):
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


def confined(facts: HostFacts, **fields: object) -> HostFacts:
    return replace(facts, process=replace(facts.process, **fields))


def behind(facts: HostFacts, *units: str | None) -> list:
    return [replace(facts.pci[0], iommu=unit) for unit in units]


# ---- the width of addresses ----


@pytest.mark.parametrize(
    ("units", "bits"),
    [(["dmar0"], 46), (["dmar1"], 39), (["dmar0", "dmar1"], 39), ([None], 39), (["dmar2"], 39), ([], 48)],
)
def test_only_the_units_of_the_plans_own_devices_count(gpu07, units, bits):
    known = (IommuUnit("dmar0", 46), IommuUnit("dmar1", 39), IommuUnit("dmar2", None))
    facts = replace(gpu07, iommu=Iommu("Intel VT-d", 39, known))
    assert address_bits(widths(facts, behind(facts, *units))) == bits


@pytest.mark.parametrize(("claimed", "bits"), [(None, 48), (64, 48), (57, 48), (40, 40)])
def test_amd_translates_48_bits_whatever_an_old_kernel_claims(gpu07, claimed, bits):
    facts = replace(gpu07, kvm=Missing("denied", "/dev/kvm"), iommu=Iommu("AMD-Vi", claimed))
    assert address_bits(widths(facts, behind(facts, None))) == bits


def test_the_cpus_count_where_kvm_did_not_answer(gpu07):
    facts = replace(gpu07, kvm=Missing("denied", "/dev/kvm"), firmware=replace(gpu07.firmware, physical_bits=39))
    assert [one.what for one in widths(facts, [])] == ["the host's CPUs have 39 bits"]
    assert address_bits(widths(replace(facts, firmware=gpu07.firmware), [])) is None


# ---- amounts ----


def test_banks_on_one_node_are_added_up(gpu07):
    text = BOOT + "memory: [{size: 100GiB, node: 0}, {size: 100GiB, node: 0}]\n"
    assert only(plan(text, gpu07), "E305").message == "the banks up to 1 need 200 GiB, and node 0 has 128 GiB in all"
    assert "E305" not in codes(plan(text.replace("100GiB, node: 0}]", "100GiB, node: 1}]"), gpu07))


def test_pages_that_are_promised_to_others_are_told(gpu07):
    facts = replace(gpu07, memory=replace(gpu07.memory, reserved_huge_pages={str(GIB): 70}))
    found = only(plan(BOOT + "memory: [{size: 4GiB, pages: 1GiB, node: 1}]\n", facts), "E302")
    assert found.message == "4 pages of 1GiB are needed, and node 1 has 2 free"
    assert found.evidence[-1] == "reserved for others: 70"
    assert found.fix.startswith("echo 74 > ")


def test_a_node_without_pages_does_not_take_them_from_the_next_bank(gpu07):
    text = BOOT + "memory: [{size: 80GiB, pages: 1GiB, node: 0}, {size: 64GiB, pages: 1GiB, node: 1}]\n"
    assert codes(plan(text, gpu07)).count("E302") == 1


def test_only_vfio_makes_a_cgroup_that_is_too_small_a_blocker(gpu07):
    small = confined(gpu07, memory_limit=Limit("/machine.slice/vm-7.scope", 4 * GIB, 0))
    text = BOOT + "memory: 8GiB\n"
    assert codes(plan(text, small)) == ["W313"]
    found = only(plan(text + DISK, small), "E313")
    assert found.fix == "systemctl set-property --runtime vm-7.scope MemoryMax=8258M"
    assert "E313" not in codes(plan(BOOT + "memory: [{size: 8GiB, pages: 1GiB, node: 1}]\n" + DISK, small))


def test_what_the_host_has_to_spare_is_what_the_tightest_of_its_bounds_leaves(gpu07):
    spec = load_spec(
        BOOT + "memory: [{size: 4GiB, pages: 4KiB}, {size: 1GiB, at: '0x200000000'}]\n", "vm.yaml", name="vm"
    ).spec
    free = replace(gpu07, memory=replace(gpu07.memory, available=9 * GIB))
    own = OWN_MEMORY
    assert spare_memory(spec, free) == 5 * GIB - own
    assert spare_memory(spec, confined(free, memory_limit=Limit("/a", 8 * GIB, GIB))) == 3 * GIB - own
    assert spare_memory(spec, confined(free, memory_limit=Limit("/a", 2 * GIB, GIB))) == -3 * GIB - own
    bounds = {"commit_limit": 9 * GIB, "committed": 2 * GIB}
    assert spare_memory(spec, replace(free, memory=replace(free.memory, overcommit=2, **bounds))) == 2 * GIB - own
    assert spare_memory(spec, replace(free, memory=replace(free.memory, overcommit=1, **bounds))) == 5 * GIB - own


def test_huge_pages_of_both_sizes_have_limits_of_their_own(gpu07):
    limits = {str(GIB): Limit("/a", 8 * GIB, GIB), str(2 * MIB): Limit("/a", 0, 0)}
    facts = confined(gpu07, huge_limits=limits)
    text = BOOT + "memory: [{size: 4GiB, pages: 1GiB}, {size: 4GiB, pages: 1GiB, node: 1}]\n"
    found = only(plan(text, facts), "E314")
    assert found.message == "cgroup /a allows 8 GiB in 1GiB pages (1 GiB in use), and 8 GiB is needed"
    assert found.fix == f"echo {9 * GIB} > /sys/fs/cgroup/a/hugetlb.1GB.max"
    assert "E314" not in codes(plan(text.replace("4GiB", "3GiB"), facts))


def test_only_small_pages_are_slow_to_pin(gpu07):
    never = replace(gpu07, memory=replace(gpu07.memory, thp="never"))
    text = BOOT + "memory: 32GiB\n"
    assert "W314" not in codes(plan(text + DISK, gpu07))
    assert "W314" not in codes(plan(text, never))
    assert "W314" in codes(plan(text + DISK, never))


# ---- BARs on the host ----


def card(facts: HostFacts, **fields: object) -> HostFacts:
    big = Bar(1, "mem64", prefetchable=True, start=0x28000000000, size=32 * GIB)
    pci = (
        replace(one, bars=(replace(big, **fields),)) if str(one.address) == "0000:e1:00.0" else one for one in facts.pci
    )
    return replace(facts, pci=tuple(pci))


GPU = BOOT + "memory: 1GiB\ndevices: {gpu: {pci: 0000:e1:00.0, companions: attach}}\n"


CONSOLES = "for c in /sys/class/vtconsole/vtcon*/bind; do echo 0 > $c; done"
DRIVERS = "/sys/bus/platform/drivers"
ANEW = "echo 1 > /sys/bus/pci/devices/0000:e1:00.0/remove; echo 1 > /sys/bus/pci/rescan"


@pytest.mark.parametrize(
    ("holders", "command"),
    [
        (("vesafb",), f"{CONSOLES}; echo vesa-framebuffer.0 > {DRIVERS}/vesa-framebuffer/unbind"),
        (("efifb",), f"{CONSOLES}; echo efi-framebuffer.0 > {DRIVERS}/efi-framebuffer/unbind"),
        (("simpledrm",), f"{CONSOLES}; echo simple-framebuffer.0 > {DRIVERS}/simple-framebuffer/unbind"),
        (
            ("BOOTFB", "simpledrm"),
            f"{CONSOLES}; echo simple-framebuffer.0 > {DRIVERS}/simple-framebuffer/unbind; {ANEW}",
        ),
        (("BOOTFB",), ANEW),
    ],
)
def test_each_holder_of_the_boot_framebuffer_has_its_way_out(gpu07, holders, command):
    old = replace(card(gpu07, claimed=holders), kernel="5.10.0-30-amd64")
    found = only(plan(GPU, old), "E318")
    assert found.fix == command
    assert "initcall_blacklist=sysfb_init" in found.help[-1]


def test_a_bar_that_was_resized_to_its_largest_is_no_matter(gpu07):
    sizes = tuple(MIB << n for n in range(8, 16))
    assert "W317" not in codes(plan(GPU, card(gpu07, sizes=sizes)))
    found = only(plan(GPU, card(gpu07, size=256 * MIB, sizes=sizes)), "W317")
    resize = "echo 15 > /sys/bus/pci/devices/0000:e1:00.0/resource1_resize"
    driver = "/sys/bus/pci/drivers/vfio-pci"
    assert found.fix == f"echo 0000:e1:00.0 > {driver}/unbind; {resize}; echo 0000:e1:00.0 > {driver}/bind"
    free = with_function(card(gpu07, size=256 * MIB, sizes=sizes), "0000:e1:00.0", driver=None)
    assert only(plan(GPU, free), "W317").fix == resize
