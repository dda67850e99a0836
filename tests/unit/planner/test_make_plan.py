"""Specs against recorded hosts: what the plan says, and what it says is in the way."""

from __future__ import annotations

import json
import re
from itertools import pairwise

import pytest

from launcher.codec import decode, encode
from launcher.codes import explanation
from launcher.host.facts import DeviceNode, Holder, HostFacts, IommuGroup, ReservedRegion
from launcher.images.boot_files import BootFile, BootFiles, Segment
from launcher.plan.codec import plan_from_json, plan_to_json
from launcher.plan.steps import BindDriver, LoadInitrd, LoadKernel, MapDma, StaysBound, TakeMemory
from launcher.planner.assumptions import failed_assumptions
from launcher.planner.choose import matching
from launcher.record import replace
from launcher.spec.parts import MATCH
from launcher.values import GIB, KIB, MIB, Missing, PciAddress
from tests.planning import EXAMPLE, FILES, INITRD, KERNEL, SMALL, absent, codes, host, plan

BOOT = "boot: {kernel: ./bzImage}\ncpus: 2\n"


@pytest.fixture
def gpu07() -> HostFacts:
    return host("gpu07")


@pytest.fixture
def two_nodes() -> HostFacts:
    return host("two-nodes")


def changed(facts: HostFacts, address: str, **fields: object) -> HostFacts:
    """The host with one function that differs."""
    pci = (replace(one, **fields) if str(one.address) == address else one for one in facts.pci)
    return replace(facts, pci=tuple(pci))


def only(made, code: str):
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


# ---- the whole ----


def test_nothing_but_this_version_stops_the_example_with_every_field_on_the_machine_it_is_written_for(gpu07):
    made = plan(EXAMPLE.read_text(), gpu07)
    assert (made.summary.can_run, codes(made)) == ("yes", ["W214"])
    assert [(one.alias, one.role, str(one.guest)[5:]) for one in made.devices] == [
        ("boot-disk", "device", "00:10.0"),
        ("gpu", "device", "00:18.0"),
        ("gpu", "companion", "00:18.1"),
        ("nic", "device", "00:11.0"),
        ("scratch", "device", "00:12.0"),
        ("worker", "device", "00:13.0"),
    ]
    assert made.summary.host_changes == 6
    assert made.summary.locked_bytes == 64 * GIB


def test_steps_are_in_the_order_in_which_they_are_performed(gpu07):
    made = plan(EXAMPLE.read_text(), gpu07)
    order = list(dict.fromkeys(step.op for step in made.steps))
    assert order == [
        "keep-state", "bind-driver", "stays-bound", "set-virtual-function", "take-memory", "open-groups", "map-dma",
        "create-vm", "give-memory", "open-devices", "load-kernel", "load-initrd", "describe-machine", "run-vcpus",
    ]  # fmt: skip


def test_a_small_machine_needs_neither_devices_nor_huge_pages():
    made = plan(SMALL, host("cloud-vm"), BootFiles(KERNEL))
    assert (made.summary.can_run, made.devices, made.summary.locked_bytes) == ("yes", (), 0)
    assert [(step.size, step.page_size, step.populate) for step in made.steps if isinstance(step, TakeMemory)] == [
        (256 * MIB, 0, False)
    ]


def test_two_plans_from_the_same_facts_are_the_same_bytes(gpu07):
    texts = {json.dumps(plan_to_json(plan(EXAMPLE.read_text(), gpu07))) for _ in range(2)}
    assert len(texts) == 1


def test_numbers_that_move_by_themselves_are_not_in_a_plan(gpu07):
    later = replace(
        gpu07,
        memory=replace(gpu07.memory, available=gpu07.memory.available - GIB),
        nodes=tuple(replace(node, free=node.free - GIB) for node in gpu07.nodes),
    )
    assert plan_to_json(plan(EXAMPLE.read_text(), gpu07)) == plan_to_json(plan(EXAMPLE.read_text(), later))


def test_a_saved_plan_is_read_back_as_it_was(gpu07):
    made = plan(EXAMPLE.read_text(), gpu07)
    assert plan_from_json(json.loads(json.dumps(plan_to_json(made)))).steps == made.steps
    assert plan_to_json(plan_from_json(plan_to_json(made))) == plan_to_json(made)


def test_all_problems_are_told_at_once_and_in_the_order_of_the_file(two_nodes):
    text = BOOT.replace("2", "{count: 2, pin: 98-99}") + "memory: [{size: 2TiB, node: 9}]\ndevices: {a: 0000:01:00.0}\n"
    made = plan(text, two_nodes, BootFiles(absent("/vms/bzImage")))
    assert codes(made) == ["E410", "E407", "E304", "E301", "E209", "E201"]
    assert all(one.where and one.where.line for one in made.diagnostics)


# ---- KVM and CPUs ----


def test_a_host_without_kvm_still_gets_a_plan():
    made = plan(SMALL, host("no-kvm"), BootFiles(KERNEL))
    assert (made.summary.can_run, codes(made)) == ("no", ["E401"])
    assert made.steps[-1].op == "run-vcpus"


def test_a_denied_kvm_names_the_group_to_join():
    found = only(plan(SMALL, host("kvm-denied"), BootFiles(KERNEL)), "E402")
    assert found.help[-1].startswith("as root: `usermod -aG kvm USER`")


def test_a_denied_kvm_tells_root_what_root_lacks_and_not_to_join_a_group():
    denied = host("kvm-denied")
    found = only(plan(SMALL, replace(denied, process=replace(denied.process, uid=0))), "E402")
    assert "usermod" not in "".join(found.help)
    assert "CAP_DAC_OVERRIDE" in found.help[0]


def test_a_kvm_node_of_the_group_root_goes_to_the_group_kvm_first():
    denied = replace(host("kvm-denied"), device_nodes=(DeviceNode("/dev/kvm", 0o660, 0, 0, usable=False),))
    assert "chgrp kvm /dev/kvm" in only(plan(SMALL, denied), "E402").help[0]


def test_what_kvm_lacks_is_told_by_name(two_nodes):
    extensions = two_nodes.kvm.extensions | {"immediate_exit": 0, "irqfd": 0}
    old = replace(two_nodes, kvm=replace(two_nodes.kvm, extensions=extensions))
    assert only(plan(SMALL, old), "E404").message == "KVM lacks KVM_CAP_IRQFD, KVM_CAP_IMMEDIATE_EXIT"


def test_what_no_vm_uses_is_not_demanded_of_kvm(two_nodes):
    extensions = two_nodes.kvm.extensions | {"ioeventfd": 0, "readonly_mem": 0}
    assert codes(plan(SMALL, replace(two_nodes, kvm=replace(two_nodes.kvm, extensions=extensions)))) == []


def test_another_architecture_is_refused(two_nodes):
    assert "E405" in codes(plan(SMALL, replace(two_nodes, architecture="aarch64")))


def test_more_vcpus_than_kvm_has_is_an_error_and_than_the_host_has_one_warning():
    small = host("cloud-vm")
    made = plan(SMALL.replace("cpus: 2", "cpus: 2000"), small)
    assert codes(made) == ["E406"]
    (most,) = re.findall(r"a VM has at most (\d+) here", only(made, "E406").message)
    assert f"at most {most} vCPUs" in only(made, "E406").help[0]
    assert codes(plan(SMALL.replace("cpus: 2", "cpus: 3"), small)) == ["W402"]
    assert codes(plan(SMALL, small)) == []


def test_pinned_cpus_must_be_online_and_allowed(two_nodes):
    confined = replace(two_nodes, process=replace(two_nodes.process, cpus=(0, 1)))
    text = SMALL.replace("cpus: 2", 'cpus: {count: 3, pin: "0,5,77"}')
    made = plan(text, confined)
    assert "77" in only(made, "E407").message
    assert "CPU 5 is" in only(made, "E408").message


def test_vcpus_on_another_node_than_the_memory_are_a_warning(two_nodes):
    text = BOOT.replace("cpus: 2", "cpus: {count: 2, pin: 7-8}") + "memory: [{size: 1GiB, node: 1}]\n"
    assert only(plan(text, two_nodes), "W403").message == "host CPU 7 is not on node 1, where the memory is"


def test_without_a_place_for_state_there_is_no_step_that_keeps_it(two_nodes):
    homeless = replace(two_nodes, process=replace(two_nodes.process, state_folder=None))
    made = plan(SMALL, homeless)
    assert "E424" in codes(made)
    assert made.steps[0].op != "keep-state"


# ---- memory ----


def test_too_few_huge_pages_on_a_node_are_told_with_numbers_and_the_command(two_nodes):
    made = plan(BOOT + "memory: [{size: 4GiB, pages: 2MiB, node: 0}]", two_nodes)
    found = only(made, "E302")
    assert found.message == "2048 pages of 2MiB are needed, and node 0 has 1024 free"
    assert found.fix == "echo 5120 > /sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"
    assert found.where.path == "memory.0.pages"


def test_banks_of_one_node_share_its_pool(two_nodes):
    text = BOOT + "memory: [{size: 1GiB, pages: 1GiB, node: 1}, {size: 2GiB, pages: 1GiB, node: 1}]"
    assert only(plan(text, two_nodes), "E302").message == "3 pages of 1GiB are needed, and node 1 has 2 free"


def test_a_bank_without_a_node_takes_what_banks_with_nodes_leave(two_nodes):
    text = BOOT + "memory: [{size: 9GiB, pages: 1GiB}, {size: 2GiB, pages: 1GiB, node: 1}]"
    assert only(plan(text, two_nodes), "E302").message == "9 pages of 1GiB are needed, and the host has 8 free"
    assert "E302" not in codes(plan(text.replace("9GiB", "8GiB"), two_nodes))


def test_a_host_without_the_pool_is_told_apart_from_an_empty_one():
    assert "E303" in codes(plan(BOOT + "memory: [{size: 1GiB, pages: 1GiB}]", host("no-kvm")))


def test_memory_that_is_populated_must_be_available_and_other_memory_should(two_nodes):
    text = BOOT + "memory: [{size: 100GiB}]"
    assert codes(plan(text, two_nodes)) == ["W302"]
    assert codes(plan(text.replace("100GiB", "100GiB, pages: thp"), two_nodes)) == ["E304"]
    assert codes(plan(text.replace("100GiB", "200GiB"), two_nodes)) == ["E304"]


@pytest.mark.parametrize(
    ("memory", "room", "help_"),
    [("100GiB", 70 * GIB + 5 * MIB, "`70GiB` fits now"), ("100GiB", 7 * GIB + 90 * MIB, "`7232MiB` fits now"),
     ("[{size: 90GiB}, {size: 90GiB}]", 9 * GIB, "`9GiB` fits now for 2 banks together")],
)  # fmt: skip
def test_what_would_fit_is_said_and_fits(two_nodes, memory: str, room: int, help_: str):
    narrow = replace(two_nodes, memory=replace(two_nodes.memory, available=room))
    spec = BOOT + f"memory: {memory}\ndevices: {{disk: 0000:01:00.0}}"
    assert only(plan(spec, narrow), "E304").help[0].endswith(f"ask for less: {help_}")
    fits = help_.split("`")[1]
    assert "E304" not in codes(plan(BOOT + f"memory: {fits}\ndevices: {{disk: 0000:01:00.0}}", narrow))


def test_where_nothing_is_left_nothing_fits(two_nodes):
    full = replace(two_nodes, memory=replace(two_nodes.memory, available=MIB))
    assert only(plan(BOOT + "memory: 500GiB", full), "E304").help == ("ask for less",)


def test_a_bank_larger_than_its_node(two_nodes):
    assert "E305" in codes(plan(BOOT + "memory: [{size: 65GiB, node: 0}]", two_nodes))


@pytest.mark.parametrize(
    ("at", "code"),
    [("0xc0000000", "E306"), ("0xbffff000", "E306"), ("0x1000000000000", "E311"), ("0x100000000", None)],
)
def test_an_address_for_a_bank_is_taken_or_refused(two_nodes, at: str, code: str | None):
    made = plan(BOOT + f"memory: [{{size: 1GiB}}, {{size: 1GiB, at: {at}}}]", two_nodes)
    assert codes(made) == ([code] if code else [])


def test_a_refused_address_comes_with_one_that_is_free(two_nodes):
    made = plan(BOOT + "memory: [{size: 1GiB}, {size: 1GiB, at: 0xc0000000}]", two_nodes)
    assert "or write `at: 0x40000000`" in only(made, "E306").help


@pytest.mark.parametrize(
    "banks",
    ["[{size: 4GiB, at: 0x0}]", "[{size: 4GiB, at: 0x0}, {size: 1GiB, at: 0x200000000}]"],
)
def test_the_bank_at_0_is_sent_to_no_address_at_which_the_guest_does_not_start(two_nodes, banks: str):
    assert only(plan(BOOT + f"memory: {banks}", two_nodes), "E306").help == (
        "leave out `at`, and the planner finds a place",
    )
    second = plan(BOOT + "memory: [{size: 1GiB}, {size: 4GiB, at: 0x40000000}]", two_nodes)
    assert "or write `at: 0x100000000`" in only(second, "E306").help


def test_where_nothing_is_at_0_no_size_is_asked_for(two_nodes):
    """The kernel and the initial RAM disk would fit if the bank were where the guest starts."""
    made = plan(BOOT.replace("}", ", initrd: ./i}") + "memory: [{size: 4GiB, at: 0x100000000}]", two_nodes)
    assert codes(made) == ["E307"]


def test_the_guest_needs_memory_at_address_0(two_nodes):
    assert "E307" in codes(plan(BOOT + "memory: [{size: 1GiB, at: 0x100000000}]", two_nodes))
    assert "E307" in codes(plan(BOOT + "memory: 64KiB", two_nodes))


def test_locked_memory_counts_only_with_devices_and_without_the_capability(gpu07):
    poor = replace(gpu07, process=replace(gpu07.process, memlock=8 * MIB, capabilities=()))
    text = BOOT + "memory: 8GiB\n"
    assert "E309" not in codes(plan(text, poor))
    assert "E309" in codes(plan(text + "devices: {disk: 0000:02:00.0}", poor))
    assert "E309" not in codes(plan(text + "devices: {disk: 0000:02:00.0}", gpu07))


# ---- boot ----


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("bzimage", "E415"),
        ("elf", "E416"),
        ("initrd", "E417"),
        ("unknown", "E418"),
        ("directory", "E413"),
        ("empty", "E414"),
    ],
)
def test_each_file_that_is_no_kernel_has_a_message_of_its_own(two_nodes, kind, code):
    made = plan(SMALL, two_nodes, BootFiles(BootFile("/vms/file", kind, 10, "00")))
    assert codes(made) == [code]
    assert "load-kernel" not in [step.op for step in made.steps]


@pytest.mark.parametrize(("why", "code"), [("absent", "E410"), ("denied", "E411"), ("unreadable", "E412")])
def test_a_file_that_cannot_be_read_is_told_by_why(two_nodes, why, code):
    made = plan(SMALL + "", two_nodes, BootFiles(Missing(why, "/vms/file"), Missing(why, "/vms/initrd")))
    assert codes(made) == [code, code]


def test_an_elf_that_lies_says_which_lie(two_nodes):
    liar = BootFile("/vms/x", "elf", 10, "00", problem="its segments at 0x1 and 0x2 overlap")
    assert (
        only(plan(SMALL, two_nodes, BootFiles(liar)), "E416").message == "/vms/x: its segments at 0x1 and 0x2 overlap"
    )


def test_a_kernel_must_fit_into_ram_and_stay_out_of_the_first_mib(two_nodes):
    def kernel(guest: int, size: int) -> BootFiles:
        return BootFiles(replace(KERNEL, entry=guest, segments=(Segment(0, 4096, guest, size),)))

    assert codes(plan(SMALL, two_nodes, kernel(0x7C00, 4096))) == ["E421"]
    assert codes(plan(SMALL, two_nodes, kernel(255 * MIB, 2 * MIB))) == ["E420"]
    assert codes(plan(SMALL, two_nodes, kernel(1 << 40, 4096))) == ["E420"]
    assert codes(plan(SMALL, two_nodes, kernel(MIB, 255 * MIB))) == []
    (found,) = plan(SMALL, two_nodes, kernel(256 * MIB, 5000)).diagnostics
    assert found.help == ("it needs low RAM up to 257 MiB: make the first bank larger",)
    (found,) = plan(SMALL, two_nodes, kernel(1 << 40, 4096)).diagnostics
    assert found.help == ("link it to load below 3 GiB, where low RAM ends at the latest",)


def test_the_initrd_is_at_the_end_of_low_memory_on_a_page(two_nodes):
    made = plan(SMALL, two_nodes)
    (step,) = [step for step in made.steps if isinstance(step, LoadInitrd)]
    assert step.guest % (4 * KIB) == 0
    assert 256 * MIB - step.guest - INITRD.size < 4 * KIB


def test_the_initrd_goes_below_a_kernel_that_has_the_end_of_memory(two_nodes):
    high = replace(KERNEL, entry=200 * MIB, segments=(Segment(0, 4096, 200 * MIB, 56 * MIB),))
    (step,) = [step for step in plan(SMALL, two_nodes, BootFiles(high, INITRD)).steps if isinstance(step, LoadInitrd)]
    assert step.guest + step.size <= 200 * MIB


def test_an_initrd_without_room_or_of_the_wrong_kind(two_nodes):
    large = replace(INITRD, size=300 * MIB)
    assert codes(plan(SMALL, two_nodes, BootFiles(KERNEL, large))) == ["E422"]
    assert codes(plan(SMALL, two_nodes, BootFiles(KERNEL, KERNEL))) == ["E419"]
    assert codes(plan(SMALL, two_nodes, BootFiles(KERNEL, replace(INITRD, kind="unknown")))) == ["W404"]
    null = BootFile("/dev/null", "unknown", 0, "", content="special")
    (found,) = plan(SMALL, two_nodes, BootFiles(KERNEL, null)).diagnostics
    assert (found.code, found.message) == ("E419", "/dev/null is no regular file, and no initial RAM disk")


def test_the_command_line_is_passed_exactly_as_written(two_nodes):
    text = "boot: {kernel: ./k, cmdline: '  a=1   b '}\ncpus: 1\nmemory: 256MiB\n"
    (step,) = [step for step in plan(text, two_nodes).steps if isinstance(step, LoadKernel)]
    assert step.cmdline == "  a=1   b "


# ---- devices ----


GPU = BOOT + "memory: 8GiB\ndevices:\n  gpu:\n    pci: 0000:c1:00.0\n"


def test_sibling_on_a_host_driver_makes_the_group_not_viable(gpu07):
    found = only(plan(GPU, gpu07), "E203")
    assert found.message == "gpu: IOMMU group 31 is not usable: the host still holds 0000:c1:00.1"
    assert found.evidence[0].startswith("group 31: 0000:c1:00.0  10de:2684 NVIDIA AD102")
    assert found.evidence[1].endswith("snd_hda_intel  not asked for")
    ways = [f"gpu: {{pci: 0000:c1:00.0, companions: {way}}}" for way in ("attach", "detach")]
    assert [line.split("`")[1] for line in found.help] == ways
    assert (found.where.line, found.where.column) == (6, 10)


@pytest.mark.parametrize("driver", [None, "vfio-pci", "pci-stub", "pcieport", "mlx5_vfio_pci"])
def test_sibling_on_a_harmless_driver_is_fine(gpu07, driver):
    assert "E203" not in codes(plan(GPU, changed(gpu07, "0000:c1:00.1", driver=driver)))


def test_a_detached_companion_is_bound_and_given_to_nobody(gpu07):
    made = plan(GPU + "    companions: detach\n", gpu07)
    assert [(one.role, one.guest) for one in made.devices] == [
        ("device", PciAddress(0, 0, 0x10, 0)),
        ("detached", None),
    ]
    assert [str(step.address) for step in made.steps if isinstance(step, BindDriver)] == [
        "0000:c1:00.0",
        "0000:c1:00.1",
    ]


def test_a_bridge_on_a_driver_blocks_since_5_19_and_is_only_taken_from_its_driver(gpu07):
    with_bridge = changed(gpu07, "0000:c1:00.1", class_code="060400", driver="shpchp")
    assert "E203" in codes(plan(GPU, with_bridge))
    assert "E203" not in codes(plan(GPU, replace(with_bridge, kernel="5.15.0-91-generic")))
    made = plan(GPU + "    companions: attach\n", with_bridge)
    assert [(one.role, one.guest) for one in made.devices][1] == ("detached", None)
    assert [step.driver for step in made.steps if isinstance(step, BindDriver)] == ["vfio-pci", None]


def test_an_isa_bridge_on_a_driver_blocks_whatever_the_kernel(gpu07):
    with_bridge = changed(gpu07, "0000:c1:00.1", class_code="060100", driver="lpc_ich")
    assert "E203" in codes(plan(GPU, with_bridge))
    assert "E203" in codes(plan(GPU, replace(with_bridge, kernel="5.15.0-91-generic")))


def test_no_iommu_differs_from_a_device_behind_none(gpu07):
    outside = changed(gpu07, "0000:02:00.0", group=None)
    text = BOOT + "memory: 8GiB\ndevices: {disk: 0000:02:00.0}\n"
    assert "E208" in codes(plan(text, outside))
    assert "E209" in codes(plan(text, replace(outside, iommu=None)))


def test_a_host_without_an_iommu_is_told_so_even_when_it_lacks_the_devices_too(two_nodes):
    made = plan(EXAMPLE.read_text(), two_nodes)
    assert codes(made).count("E209") == 1
    assert "E201" in codes(made)
    assert made.host.backend is None


@pytest.mark.parametrize("fields", ["pci: 0000:c1:00.0", "pci: 0000:c1:00.0, rom: false"])
def test_what_a_help_says_to_write_can_be_written(gpu07, fields):
    attach, _ = only(plan(device(fields), gpu07), "E203").help
    if attach.startswith("add"):
        fields += ", " + attach.split("`")[1]
    else:
        fields = attach.split("`")[1].removeprefix("it: {").removesuffix("}")
    assert "E203" not in codes(plan(device(fields), gpu07))


def device(fields: str) -> str:
    return BOOT + f"memory: 8GiB\ndevices:\n  it: {{{fields}}}\n"


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("pci: 0000:ff:00.0", "E201"),
        ("pci: 0000:02:00.0, expect: 10de:2684", "E202"),
        ("match: {serial: nobody}", "E204"),
        ("match: {class: nvme}", "E205"),
        ("match: {class: nvme}, pick: free", "E206"),
        ("pci: 0000:3b:00.0, vf: 4", "E207"),
        ("pci: 0000:00:01.1", "E212"),
        ("pci: 0000:02:00.0, guest: 00:12.3", "E213"),
        ("pci: 0000:02:00.0, bind: never", "E214"),
    ],
)
def test_each_way_to_name_a_device_wrongly_has_its_code(gpu07, fields, code):
    found = only(plan(device(fields), gpu07), code)
    assert found.message.startswith("it: ")
    assert found.where is not None
    assert found.where.path.startswith("devices.it")


def test_two_matches_are_listed_and_never_the_first_one_taken(gpu07):
    found = only(plan(device("match: {class: gpu}"), gpu07), "E205")
    assert [line.split()[0] for line in found.evidence] == ["0000:c1:00.0", "0000:e1:00.0"]


def test_pick_free_takes_no_device_of_a_host_driver_of_another_alias_or_of_a_running_vm(gpu07):
    text = device("match: {class: gpu}, pick: free")
    assert [str(one.host) for one in plan(text, gpu07).devices] == ["0000:e1:00.0"]
    assert "E206" in codes(plan(text + "  other: 0000:e1:00.0\n", gpu07))
    busy = tuple(replace(group, kind="unmanaged") if group.number == 77 else group for group in gpu07.groups)
    assert "E206" in codes(plan(text, replace(gpu07, groups=busy)))


def test_pick_free_goes_by_the_type_of_a_group_where_its_holders_cannot_be_seen(gpu07):
    """As a user who sees only his own processes: a node is not held because nobody knows."""
    gpu = {one.address: one for one in gpu07.pci}[PciAddress.parse("0000:e1:00.0")]
    ready = changed(gpu07, str(gpu.address), driver="vfio-pci", vfio="vfio0")
    paths = (f"/dev/vfio/{gpu.group}", "/dev/vfio/devices/vfio0")
    text = device("match: {class: gpu}, pick: free")
    for holders, found in ((Missing("denied", "/proc/*/fd"), [gpu.address]), ((Holder(7, "qemu"),), [])):
        for path in paths:
            node = DeviceNode(path, 0o660, 0, 0, usable=True, holders=holders)
            assert [one.host for one in plan(text, replace(ready, device_nodes=(node,))).devices] == found


def test_the_same_function_by_address_and_by_match(gpu07):
    text = device("pci: 0000:81:00.0") + "  again: {match: {serial: S4EWNX0R123456}}\n"
    assert "E210" in codes(plan(text, gpu07))


@pytest.mark.parametrize(
    ("match", "found"),
    [
        (MATCH.read({"class": "gpu"}), ["0000:c1:00.0", "0000:e1:00.0"]),
        (MATCH.read({"class": "04"}), ["0000:c1:00.1", "0000:e1:00.1"]),
        (MATCH.read({"id": "10de:2684", "slot": "7"}), ["0000:e1:00.0"]),
        (MATCH.read({"class": "nvme", "node": 1}), ["0000:81:00.0"]),
    ],
)
def test_every_given_key_of_a_match_holds(gpu07, match, found):
    assert [str(one.address) for one in matching(match, gpu07.pci)] == found


def test_a_device_that_cannot_be_reset_needs_consent(gpu07):
    stuck = changed(gpu07, "0000:02:00.0", reset=())
    assert "E216" in codes(plan(device("pci: 0000:02:00.0"), stuck))
    assert "E216" not in codes(plan(device("pci: 0000:02:00.0, allow: [no-reset]"), stuck))


def test_what_could_not_be_read_makes_the_plan_uncertain(gpu07):
    hidden = changed(gpu07, "0000:02:00.0", reset=Missing("denied", "/sys/x/reset_method"))
    made = plan(device("pci: 0000:02:00.0"), hidden)
    assert codes(made) == ["W216"]
    assert "/sys/x/reset_method" in only(made, "W216").message


def test_a_device_on_vfio_already_stays_there(gpu07):
    made = plan(device("pci: 0000:e1:00.0"), gpu07)
    assert [type(step) for step in made.steps if step.device] == [StaysBound]
    assert made.summary.host_changes == 0


def with_regions(facts: HostFacts, number: int, *regions: ReservedRegion) -> HostFacts:
    groups = (replace(one, reserved=regions) if one.number == number else one for one in facts.groups)
    return replace(facts, groups=tuple(groups))


def test_ram_goes_round_what_the_iommu_reserves(gpu07):
    text = device("pci: 0000:02:00.0")
    made = plan(text, with_regions(gpu07, 14, ReservedRegion(0x40000000, 0x400FFFFF, "reserved")))
    (step,) = [step for step in made.steps if isinstance(step, MapDma)]
    assert [(one.guest, one.size) for one in step.ranges][:2] == [(0, GIB), (0x40200000, 2 * GIB - 2 * MIB)]
    assert "reserved" in [line.kind for line in made.memory]


def test_a_relaxable_region_over_the_first_mib_does_not_matter(gpu07):
    facts = with_regions(gpu07, 14, ReservedRegion(0, 0xFFFFFF, "direct-relaxable"))
    assert codes(plan(device("pci: 0000:02:00.0"), facts)) == []


def test_a_hard_region_over_the_first_mib_leaves_no_place_to_start(gpu07):
    facts = with_regions(gpu07, 14, ReservedRegion(0, 0xFFFFF, "reserved"))
    assert "E310" in codes(plan(device("pci: 0000:02:00.0"), facts))


def test_a_region_that_is_everything_leaves_no_place_at_all(gpu07):
    facts = with_regions(gpu07, 14, ReservedRegion(0, (1 << 64) - 1, "reserved"))
    assert {"E308", "E310"} <= set(codes(plan(device("pci: 0000:02:00.0"), facts)))


def test_a_direct_region_blocks_on_intel_and_on_amd_since_6_6(gpu07):
    facts = with_regions(gpu07, 14, ReservedRegion(0x10000000, 0x100FFFFF, "direct"))
    text = device("pci: 0000:02:00.0")
    assert "E215" in codes(plan(text, facts))
    assert "E215" not in codes(plan(text, replace(facts, kernel="6.1.0-56-amd64")))
    intel = replace(facts, kernel="6.1.0-56-amd64", iommu=replace(facts.iommu, kind="Intel VT-d"))
    assert "E215" in codes(plan(text, intel))


# ---- guest addresses and BARs ----


def many_cards(facts: HostFacts, count: int, functions: int = 1) -> tuple[HostFacts, str]:
    """Cards that each have a group of their own, and a spec that passes all of them."""
    first = next(one for one in facts.pci if str(one.address) == "0000:02:00.0")
    many = tuple(
        replace(first, address=PciAddress(0, bus, 0, function), group=1000 + bus * 8 + function)
        for bus in range(1, count + 1)
        for function in range(functions)
    )
    groups = tuple(IommuGroup(one.group, "DMA", (one.address,), ()) for one in many)
    devices = "".join(f"  d{n}: {one.address}\n" for n, one in enumerate(many))
    return replace(facts, pci=many, groups=groups), f"{BOOT}memory: 8GiB\ndevices:\n{devices}"


@pytest.mark.parametrize("count", [1, 16, 17, 24, 100, 128])
def test_cards_have_a_slot_each_and_then_share_them(gpu07, count):
    facts, text = many_cards(gpu07, count)
    made = plan(text, facts)
    assert not {"E211", "E213"} & set(codes(made))
    places = [one.guest.guest for one in made.devices]
    assert places[:16] == [f"00:{slot:02x}.0" for slot in range(16, 32)][:count]
    assert places[16:] == [f"00:{slot:02x}.{n}" for n in range(1, 8) for slot in range(16, 32)][: max(count - 16, 0)]


def test_what_does_not_fit_is_one_error_that_names_the_limit(gpu07):
    facts, text = many_cards(gpu07, 140)
    found = only(plan(text, facts), "E211")
    assert found.message.startswith("d128: the guest has no place left for 0000:81:00.0 and 11 more")
    assert "it has 128, and 140 are asked for" in found.message


def test_functions_of_one_card_are_packed_together_while_there_is_room(gpu07):
    facts, text = many_cards(gpu07, 20, functions=3)
    text = re.sub(r"  d\d+: .*\.[12]\n", "", text)
    text = re.sub(r"(d\d+): (.*\.0)\n", r"\1: {pci: \2, companions: attach}\n", text)
    facts = replace(facts, pci=tuple(replace(one, parent=PciAddress(0, 0, 1, 0)) for one in facts.pci))
    made = plan(text, facts)
    slots: dict[str, set[int]] = {}
    for one in made.devices:
        slots.setdefault(one.host.slot, set()).add(one.guest.device)
    assert not {"E211", "E213"} & set(codes(made))
    assert len(made.devices) == 60
    assert all(len(those) == 1 for those in slots.values())


def test_a_card_that_fits_into_no_slot_whole_is_split(gpu07):
    facts, text = many_cards(gpu07, 42, functions=3)
    assert not {"E211", "E213"} & set(codes(plan(text, facts)))


def test_a_slot_without_a_function_0_is_given_to_nobody_else(gpu07):
    facts, text = many_cards(gpu07, 17)
    text = text.replace("d0: 0000:01:00.0", "d0: {pci: 0000:01:00.0, guest: 00:10.3}")
    made = plan(text, facts)
    assert codes(made) == ["E213"]
    assert made.devices[16].guest.guest == "00:11.1"


def test_what_guest_takes_is_not_given_again(gpu07):
    facts, text = many_cards(gpu07, 24)
    text = text.replace("d0: 0000:01:00.0", "d0: {pci: 0000:01:00.0, guest: 00:10.0}")
    text = text.replace("d1: 0000:02:00.0", "d1: {pci: 0000:02:00.0, guest: 00:10.1}")
    made = plan(text, facts)
    assert not {"E211", "E213"} & set(codes(made))
    assert len({one.guest for one in made.devices}) == 24


def test_functions_of_one_slot_stay_together_and_keep_their_numbers(gpu07):
    text = BOOT + "memory: 8GiB\ndevices:\n  gpu: 0000:c1:00.0\n  disk: 0000:02:00.0\n  sound: 0000:c1:00.1\n"
    assert [one.guest.guest for one in plan(text, gpu07).devices] == ["00:10.0", "00:11.0", "00:10.1"]


def test_a_function_0_that_comes_later_moves_nobody(gpu07):
    text = BOOT + "memory: 8GiB\ndevices:\n  sound: 0000:c1:00.1\n  disk: 0000:02:00.0\n"
    before = [one.guest.guest for one in plan(text, gpu07).devices]
    after = [one.guest.guest for one in plan(text + "  gpu: 0000:c1:00.0\n", gpu07).devices]
    assert (before, after) == (["00:10.0", "00:11.0"], ["00:10.0", "00:11.0", "00:10.1"])


def test_a_wish_that_comes_later_moves_nobody(gpu07):
    text = BOOT + "memory: 8GiB\ndevices:\n  disk: 0000:02:00.0\n  drive: {pci: 0000:81:00.0, guest: 00:10.0}\n"
    assert only(plan(text, gpu07), "E213").message.startswith("drive: 0000:02:00.0 (disk) and 0000:81:00.0")


def test_a_lone_second_function_becomes_function_0_in_the_guest(gpu07):
    made = plan(device("pci: 0000:e1:00.1"), gpu07)
    assert [one.guest.guest for one in made.devices] == ["00:10.0"]


def test_virtual_functions_are_devices_of_their_own(gpu07):
    text = BOOT + "memory: 8GiB\ndevices:\n  a: {pci: 0000:3b:00.0, vf: 0}\n  b: {pci: 0000:3b:00.0, vf: 1}\n"
    assert [one.guest.guest for one in plan(text, gpu07).devices] == ["00:10.0", "00:11.0"]


def test_two_devices_that_want_one_guest_address(gpu07):
    text = GPU + "    companions: attach\n    guest: 00:18.0\n  disk: {pci: 0000:02:00.0, guest: 00:18.1}\n"
    assert "0000:c1:00.1 (gpu)" in only(plan(text, gpu07), "E213").message


def test_bars_have_natural_alignment_and_stay_apart_in_memory_and_among_ports(gpu07):
    made = plan(EXAMPLE.read_text(), gpu07)
    bars = [bar for one in made.devices for bar in one.bars]
    placed = [bar for bar in bars if bar.kind != "io"]
    assert [bar.guest for bar in bars if bar.kind == "io"] == [0xC000, 0xC080]
    assert all(bar.guest % bar.size == 0 for bar in bars)
    spans = sorted((bar.guest, bar.guest + bar.size) for bar in placed)
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert {bar.guest for bar in placed if bar.size >= 64 * MIB} == {0x4000000000, 0x4800000000, 0x5000000000}


def test_a_bar_without_room_is_named_with_its_size(gpu07):
    narrow = replace(gpu07, iommu=replace(gpu07.iommu, address_bits=35))
    found = only(plan(device("pci: 0000:e1:00.0"), narrow), "E312")
    assert found.message == "it: BAR 1 of 0000:e1:00.0 (32 GiB) has no place in the guest"


def test_a_narrow_host_gets_its_window_above_ram(gpu07):
    narrow = replace(gpu07, iommu=replace(gpu07.iommu, address_bits=39))
    (gpu,) = plan(device("pci: 0000:e1:00.0"), narrow).devices
    assert 8 * GIB < next(bar.guest for bar in gpu.bars if bar.size == 32 * GIB) < 1 << 39


# ---- assumptions ----


def test_a_plan_holds_on_the_host_it_was_made_for(gpu07):
    assert failed_assumptions(plan(EXAMPLE.read_text(), gpu07), gpu07, FILES) == ()


def test_a_plan_with_blockers_still_knows_what_it_assumed():
    facts = host("no-kvm")
    made = plan(SMALL, facts, BootFiles(KERNEL))
    failed = [one.fact for one in failed_assumptions(made, facts, BootFiles(KERNEL))]
    assert "kvm" in failed
    assert "architecture" not in failed


def test_of_what_another_host_has_not_there_is_one_line_each_for_people(gpu07, two_nodes):
    made = plan(EXAMPLE.read_text(), gpu07)
    failed = list(map(str, failed_assumptions(made, two_nodes, FILES)))
    devices = {str(one.host) for one in made.devices}
    assert "pci[0000:c1:00.0]: 10de:2684 -> not there" in failed
    assert {line[4:16] for line in failed if line.startswith("pci[")} >= devices
    assert len({line.split(": ")[0] for line in failed}) == len(failed)
    assert not any("{" in line or "groups" in line for line in failed)


def test_regions_that_changed_are_told_without_reprs(gpu07):
    made = plan(device("pci: 0000:02:00.0"), gpu07)
    (failed,) = failed_assumptions(made, with_regions(gpu07, 14, ReservedRegion(0xFEE00000, 0xFEEFFFFF, "msi")), FILES)
    assert str(failed).endswith(" -> 0xfee00000 0xfeefffff msi")


def test_an_option_rom_is_looked_at_and_pinned_as_the_kernel_is(gpu07):
    text = device("pci: 0000:02:00.0, rom: ./x.rom")
    absent_rom = BootFiles(KERNEL, INITRD, {"it": absent("/vms/x.rom")})
    found = only(plan(text, gpu07, absent_rom), "E410")
    assert (found.message, found.where.path) == ("/vms/x.rom is not there", "devices.it.rom")
    there = replace(absent_rom, roms={"it": BootFile("/vms/x.rom", "unknown", 512, "44" * 32)})
    made = plan(text, gpu07, there)
    assert (codes(made), made.devices[0].rom) == ([], "/vms/x.rom")
    other = replace(there, roms={"it": replace(there.roms["it"], sha256="55" * 32)})
    (failed,) = failed_assumptions(made, gpu07, other)
    assert failed.fact == "files.roms[it].sha256"


def test_several_matches_are_listed_with_what_tells_them_apart(gpu07):
    drives = only(plan(device("match: {class: nvme}"), gpu07), "E205").evidence
    assert drives[0].endswith("serial S649NX0T412088  node 0  nvme")
    cards = only(plan(device("match: {class: gpu}"), gpu07), "E205").evidence
    assert "slot 7" in cards[1]
    assert cards[1].endswith("vfio-pci")


def test_too_few_huge_pages_name_the_number_for_the_boot_line(two_nodes):
    text = BOOT + "memory: [{size: 4GiB, pages: 1GiB, node: 1}]\n"
    assert only(plan(text, two_nodes), "E302").help[1].endswith("`hugepagesz=1G hugepages=1:6`")


@pytest.mark.parametrize(
    ("address", "fields", "said"),
    [
        ("0000:c1:00.0", {"driver": "vfio-pci"}, "pci[0000:c1:00.0].driver: nvidia -> vfio-pci"),
        ("0000:c1:00.0", {"id": "10de:2704"}, "pci[0000:c1:00.0].id: 10de:2684 -> 10de:2704"),
        ("0000:e1:00.1", {"driver": None}, "pci[0000:e1:00.1].driver: vfio-pci -> nothing"),
        ("0000:02:00.0", {"group": 15}, "pci[0000:02:00.0].group: 14 -> 15"),
    ],
)
def test_a_fact_that_changed_is_told_old_and_new(gpu07, address, fields, said):
    made = plan(EXAMPLE.read_text(), gpu07)
    assert said in [str(one) for one in failed_assumptions(made, changed(gpu07, address, **fields), FILES)]


def test_fewer_free_pages_than_needed_fail_and_more_do_not(gpu07):
    def with_free(number: int) -> HostFacts:
        nodes = (
            replace(node, huge_pages=tuple(replace(pool, free=number) for pool in node.huge_pages))
            for node in gpu07.nodes
        )
        return replace(gpu07, nodes=tuple(nodes))

    made = plan(EXAMPLE.read_text(), gpu07)
    assert failed_assumptions(made, with_free(64), FILES) == ()
    (failed,) = failed_assumptions(made, with_free(63), FILES)
    assert str(failed) == "nodes[1].huge_pages[1073741824].free: at least 64 -> 63"


def test_another_kernel_under_the_same_name_fails(gpu07):
    made = plan(EXAMPLE.read_text(), gpu07)
    (failed,) = failed_assumptions(made, gpu07, BootFiles(replace(KERNEL, sha256="33" * 32), INITRD))
    assert failed.fact == "files.kernel.sha256"


def test_a_bar_may_move_on_the_host_and_not_change_its_size(gpu07):
    made = plan(EXAMPLE.read_text(), gpu07)
    (bar,) = next(one.bars for one in gpu07.pci if str(one.address) == "0000:02:00.0")
    moved = changed(gpu07, "0000:02:00.0", bars=(replace(bar, start=0xA0000000),))
    grown = changed(gpu07, "0000:02:00.0", bars=(replace(bar, size=32 * KIB),))
    assert failed_assumptions(made, moved, FILES) == ()
    assert [str(one) for one in failed_assumptions(made, grown, FILES)] == [
        "pci[0000:02:00.0].bars[0].size: 16384 -> 32768"
    ]


def test_every_diagnostic_has_a_way_out_and_an_explanation(gpu07, two_nodes):
    texts = [GPU, device("match: {class: gpu}"), device("pci: 0000:00:01.1"), BOOT + "memory: 64KiB"]
    hosts = [gpu07, two_nodes, host("no-kvm"), host("kvm-denied"), replace(two_nodes, architecture="arm64")]
    found = [one for text in texts for facts in hosts for one in plan(text, facts).diagnostics]
    assert all(one.help for one in found)
    assert all(explanation(one.code) for one in found)


def test_a_new_member_of_a_group_fails(gpu07):
    made = plan(EXAMPLE.read_text(), gpu07)
    groups = (
        replace(one, devices=(*one.devices, PciAddress(0, 0xC2, 0, 0))) if one.number == 31 else one
        for one in gpu07.groups
    )
    (failed,) = failed_assumptions(made, replace(gpu07, groups=tuple(groups)), FILES)
    assert str(failed) == "groups[31].devices: 0000:c1:00.0, 0000:c1:00.1 -> 0000:c1:00.0, 0000:c1:00.1, 0000:c2:00.0"


def test_a_saved_plan_fails_as_the_fresh_one_does(gpu07):
    saved = plan_from_json(json.loads(json.dumps(plan_to_json(plan(EXAMPLE.read_text(), gpu07)))))
    assert failed_assumptions(saved, gpu07, FILES) == ()
    assert len(failed_assumptions(saved, changed(gpu07, "0000:02:00.0", driver=None), FILES)) == 1


def test_facts_survive_the_way_to_json_and_back(gpu07):
    assert decode(HostFacts, encode(gpu07)) == gpu07
