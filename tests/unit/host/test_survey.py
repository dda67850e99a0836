"""From the text of /sys and /proc to facts: the traps of the kernel's formats."""

from __future__ import annotations

import os

import pytest

from launcher.codec import decode, encode
from launcher.host.facts import Bar, HostFacts, ReservedRegion
from launcher.host.iommu import parse_reserved, read_groups, read_iommu
from launcher.host.lists import ids
from launcher.host.names import Names
from launcher.host.process import read_process
from launcher.host.processors import read_cpus, read_memory, read_nodes
from launcher.host.survey import survey
from launcher.host.tree import Live, Recorded
from launcher.names import state_folder
from launcher.values import GIB, MIB, Missing, PciAddress
from tests.unit.host.trees import functions

NO_KVM = Missing("absent", "/dev/kvm")
PCI = "/sys/bus/pci/devices/0000:01:00.0"


def function(**files: str) -> Recorded:
    texts = {f"{PCI}/{name}": text for name, text in files.items()}
    return Recorded({f"{PCI}/uevent": "PCI_CLASS=10802\nPCI_ID=144D:A809\n"} | texts)


# ---- the tree ----


def test_absent_and_denied_are_different_answers(tmp_path):
    (tmp_path / "file").write_text("one\n\n")
    tree = Live()
    assert tree.read_text(str(tmp_path / "file")) == "one\n"
    assert tree.read_text(str(tmp_path / "none")) == Missing("absent", str(tmp_path / "none"))
    assert tree.list_folder(str(tmp_path)) == ("file",)
    assert tree.read_link(str(tmp_path / "file")) == Missing("unreadable", str(tmp_path / "file"))


@pytest.mark.skipif(os.getuid() == 0, reason="root may read everything")
def test_a_file_of_mode_0_is_denied(tmp_path):
    (tmp_path / "file").write_text("secret")
    (tmp_path / "file").chmod(0)
    assert Live().read_text(str(tmp_path / "file")) == Missing("denied", str(tmp_path / "file"))


def test_a_recorded_tree_answers_as_a_live_one_does():
    tree = Recorded({"/a/b": "text\n", "/a/c/d": ""}, {"/a/link": "../x"}, frozenset({"/a/secret"}))
    assert tree.read_text("/a/b") == "text"
    assert tree.read_text("/a/secret") == Missing("denied", "/a/secret")
    assert tree.read_link("/a/link") == "../x"
    assert tree.list_folder("/a") == ("b", "c", "link", "secret")
    assert tree.list_folder("/nowhere") == Missing("absent", "/nowhere")


def test_the_survey_of_this_machine_survives_json():
    facts = survey(Live(), NO_KVM)
    assert decode(HostFacts, encode(facts)) == facts
    assert facts.cpus
    assert facts.memory.total > 0
    assert set(facts.process.cpus) <= {cpu.id for cpu in facts.cpus}


# ---- lists, CPUs, memory, process ----


@pytest.mark.parametrize(
    ("text", "found"), [("0-3,8", (0, 1, 2, 3, 8)), ("", ()), ("(null)", ()), ("5", (5,)), (NO_KVM, ())]
)
def test_lists_of_ids(text: str | Missing, found: tuple[int, ...]):
    assert ids(text) == found


def test_a_kernel_without_numa_has_node_0_with_all_memory():
    tree = Recorded(
        {
            "/proc/meminfo": "MemTotal: 2097152 kB\nMemFree: 1048576 kB\nMemAvailable: 1572864 kB\n",
            "/sys/devices/system/cpu/online": "0-1",
            "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages": "2",
            "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages": "1",
            "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages": "8",
            "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages": "8",
        }
    )
    (node,) = read_nodes(tree)
    assert (node.id, node.memory, node.free, node.distances) == (0, 2 * GIB, GIB, (10,))
    assert [(pool.size, pool.total, pool.free) for pool in node.huge_pages] == [(2 * MIB, 8, 8), (GIB, 2, 1)]
    assert [(cpu.id, cpu.node) for cpu in read_cpus(tree)] == [(0, 0), (1, 0)]
    assert read_memory(tree).available == 1536 * MIB


def test_nodes_know_their_cpus_and_their_meminfo_has_a_prefix():
    tree = Recorded(
        {
            "/sys/devices/system/cpu/online": "0-3",
            "/sys/devices/system/cpu/cpu3/topology/core_id": "1",
            "/sys/devices/system/cpu/cpu3/topology/physical_package_id": "1",
            "/sys/devices/system/node/online": "0-1",
            "/sys/devices/system/node/node0/cpulist": "0-1",
            "/sys/devices/system/node/node1/cpulist": "2-3",
            "/sys/devices/system/node/node1/distance": "21 10",
            "/sys/devices/system/node/node1/meminfo": "Node 1 MemTotal:  1048576 kB\nNode 1 MemFree:  524288 kB\n",
        }
    )
    assert [cpu.node for cpu in read_cpus(tree)] == [0, 0, 1, 1]
    assert read_cpus(tree)[3].core == "1:1"
    assert (read_nodes(tree)[1].memory, read_nodes(tree)[1].distances) == (GIB, (21, 10))


def test_the_word_in_brackets_is_the_mode_of_transparent_huge_pages():
    path = "/sys/kernel/mm/transparent_hugepage/enabled"
    assert read_memory(Recorded({path: "always [madvise] never\n"})).thp == "madvise"
    assert read_memory(Recorded({})).thp == Missing("absent", path)


STATUS = "Uid:\t1000\t1001\t1001\t1001\nGid:\t5\t6\t6\t6\nCapEff:\t0000000000004000\nCpus_allowed_list:\t1,3\n"
LIMITS = (
    "Limit                     Soft Limit           Hard Limit           Units     \n"
    "Max locked memory         8388608              unlimited            bytes     \n"
    "Max open files            1024                 524288               files     \n"
)


def test_the_process_has_effective_ids_hard_limits_and_named_capabilities():
    found = read_process(Recorded({"/proc/self/status": STATUS, "/proc/self/limits": LIMITS}), "/run/user/1001/")
    assert (found.uid, found.gid, found.cpus) == (1001, 6, (1, 3))
    assert (found.memlock, found.open_files) == (None, 524288)
    assert found.capabilities == ("cap_ipc_lock",)
    assert found.state_folder == "/run/user/1001/vmlaunch"


def test_without_a_runtime_folder_only_root_has_a_place_for_state():
    root = STATUS.replace("1000\t1001", "0\t0")
    assert read_process(Recorded({"/proc/self/status": STATUS}), None).state_folder is None
    assert read_process(Recorded({"/proc/self/status": root}), None).state_folder == "/run/vmlaunch"


# ---- PCI ----


def test_an_unset_override_reads_null_and_is_none():
    assert functions(function(driver_override="(null)\n"))[0].driver_override is None
    assert functions(function(driver_override="vfio-pci\n"))[0].driver_override == "vfio-pci"


def test_the_class_in_uevent_lacks_a_zero_and_gets_it_back():
    (found,) = functions(function())
    assert (found.class_code, found.id, found.driver) == ("010802", "144d:a809", None)


def test_node_minus_one_is_not_node_0():
    assert functions(function(numa_node="-1"))[0].node is None
    assert functions(function(numa_node="0"))[0].node == 0


def test_no_reset_method_differs_from_one_that_may_not_be_read():
    assert functions(function())[0].reset == ()
    assert functions(function(reset_method=""))[0].reset == ()
    assert functions(function(reset_method="flr bus"))[0].reset == ("flr", "bus")
    denied = Recorded({f"{PCI}/uevent": "PCI_ID=144D:A809"}, denied=frozenset({f"{PCI}/reset_method"}))
    assert functions(denied)[0].reset == Missing("denied", f"{PCI}/reset_method")


RESOURCE = """\
0x00000000fe800000 0x00000000fe803fff 0x0000000000140204
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x0000000200000000 0x00000003ffffffff 0x000000000014220c
0x0000000000000000 0x0000000000000000 0x0000000000000000
0x0000000000001000 0x00000000000010ff 0x0000000000040101
0x0000000000000000 0x0000000000000fff 0x0000000020040200
0x00000000000c0000 0x00000000000dffff 0x0000000000000212
"""


def test_bars_are_the_first_six_lines_of_resource_and_zero_lines_are_none():
    assert functions(function(resource=RESOURCE))[0].bars == (
        Bar(0, "mem64", False, 0xFE800000, 0x4000),
        Bar(2, "mem64", True, 0x200000000, 8 * GIB),
        Bar(4, "io", False, 0x1000, 256),
        Bar(5, "mem32", False, 0, 4096),
    )


def test_groups_serials_slots_and_virtual_functions():
    tree = Recorded(
        {
            f"{PCI}/uevent": "DRIVER=nvme\nPCI_ID=144D:A809\nPCI_CLASS=10802\n",
            f"{PCI}/nvme/nvme0/serial": "S4EWNX0R123456      ",
            "/sys/bus/pci/slots/3-1/address": "0000:01:00",
        },
        {
            f"{PCI}/iommu_group": "../../../../kernel/iommu_groups/13",
            f"{PCI}/virtfn10": "../0000:01:02.2",
            f"{PCI}/virtfn2": "../0000:01:01.2",
        },
    )
    (found,) = functions(tree)
    assert (found.group, found.serial, found.slot) == (13, "S4EWNX0R123456", "3-1")
    assert list(map(str, found.virtual_functions)) == ["0000:01:01.2", "0000:01:02.2"]


def test_a_vmd_domain_is_wider_than_four_digits():
    tree = Recorded({"/sys/bus/pci/devices/10000:e1:00.0/uevent": "PCI_ID=144D:A809"})
    assert functions(tree)[0].address == PciAddress(0x10000, 0xE1, 0, 0)


IDS = """\
# a comment
10de  NVIDIA Corporation
\t2684  AD102 [GeForce RTX 4090]
\t\t1043 889a  a board
144d  Samsung Electronics Co Ltd
\ta809  NVMe SSD Controller 980
\t2684  not the one
"""


@pytest.mark.parametrize(
    ("identity", "name"),
    [
        ("10de:2684", "NVIDIA AD102 [GeForce RTX 4090]"),
        ("144d:a809", "Samsung NVMe SSD Controller 980"),
        ("10de:a809", "NVIDIA"),
        ("ffff:0001", None),
    ],
)
def test_names_come_from_the_makers_own_part_of_pci_ids(identity: str, name: str | None):
    assert Names(IDS).of(identity) == name


# ---- the IOMMU ----


def test_a_relaxable_region_does_not_hide_the_lines_behind_it():
    text = "0x0000000000000000 0x0000000000ffffff direct-relaxable\n0x00000000fee00000 0x00000000feefffff msi\n"
    assert list(parse_reserved(text)) == [
        ReservedRegion(0, 0xFFFFFF, "direct-relaxable"),
        ReservedRegion(0xFEE00000, 0xFEEFFFFF, "msi"),
    ]


def test_an_unknown_word_is_kept_as_it_is():
    (region,) = parse_reserved("0x0000000000001000 0x0000000000001fff quantum\n")
    assert region.kind == "quantum"


def test_group_members_that_are_not_pci_are_no_pci_addresses():
    folder = "/sys/kernel/iommu_groups/7"
    tree = Recorded({f"{folder}/type": "DMA-FQ", f"{folder}/reserved_regions": ""}, {
        f"{folder}/devices/0000:00:1f.0": "x", f"{folder}/devices/INTC1085:00": "x",
    })  # fmt: skip
    (group,) = read_groups(tree)
    assert group.devices == (PciAddress(0, 0, 0x1F, 0),)


@pytest.mark.parametrize(("capabilities", "bits"), [("d2008c22260286", 39), ("d2008c222f0686", 48)])
def test_the_width_of_vt_d_is_read_from_its_capabilities(capabilities: str, bits: int):
    found = read_iommu(Recorded({"/sys/class/iommu/dmar0/intel-iommu/cap": capabilities}))
    assert found is not None
    assert (found.kind, found.address_bits) == ("Intel VT-d", bits)


def test_amd_counts_as_48_bits_and_no_unit_is_no_iommu():
    found = read_iommu(Recorded({"/sys/class/iommu/ivhd0/amd-iommu/cap": "1f03000f"}))
    assert found is not None
    assert (found.kind, found.address_bits) == ("AMD-Vi", 48)
    assert read_iommu(Recorded({})) is None


@pytest.mark.parametrize("folder", ["run", "./run", "", None])
def test_a_runtime_folder_that_is_not_absolute_is_none(folder: str | None) -> None:
    """XDG Base Directory Specification; and the keeper has another working folder than `up`."""
    assert state_folder(1000, folder) is None
    assert state_folder(1000, "/run/user/1000/") == "/run/user/1000/vmlaunch"
    assert state_folder(0, folder) == "/run/vmlaunch"
