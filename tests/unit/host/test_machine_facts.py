"""The kernel, the machine, its IOMMUs, its memory, and who runs `up`: one story for each trap."""

from __future__ import annotations

import gzip
import struct

import pytest

from launcher.codec import decode, encode
from launcher.host.cgroups import huge_limits, memory_limit, task_limits
from launcher.host.device_nodes import read_device_nodes, usable, with_handed
from launcher.host.facts import Config, Holder, HostFacts, IommuUnit, Limit, Linux, Process
from launcher.host.firmware import read_firmware
from launcher.host.identity import process_as
from launcher.host.iommu import read_groups, read_iommu
from launcher.host.linux import read_linux
from launcher.host.opened import Opened
from launcher.host.process import read_process
from launcher.host.processors import read_memory
from launcher.host.redact import redacted
from launcher.host.survey import survey
from launcher.host.tree import Live, Recorded, Status
from launcher.record import replace
from launcher.values import GIB, MIB, Missing
from tests.planning import host
from tests.unit.host.trees import PCI, config, tree

RELEASE = "6.12.0"
MODULES = f"/lib/modules/{RELEASE}"
ME = Process(1000, 1000, (), 8 * MIB, 1024, (0,), "/run/user/1000/vmlaunch", groups=(5, 1000))


# ---- the kernel ----


def test_remapping_is_read_off_the_names_of_the_chips():
    plain = (
        "  0:  5  IO-APIC   2-edge  timer\n 24:  0  DMAR-MSI   0-edge  dmar0\n 25:  7  PCI-MSI 1-edge nvme\nNMI:  0\n"
    )
    found = read_linux(Recorded({"/proc/interrupts": plain}), RELEASE)
    assert (found.remapping, found.vectors) == (False, 3)
    on = plain.replace("IO-APIC", "IR-IO-APIC")
    assert read_linux(Recorded({"/proc/interrupts": on}), RELEASE).remapping is True
    assert read_linux(Recorded({}), RELEASE).remapping is None


def test_who_uses_the_modules_of_a_gpu_and_how():
    nvidia = "/sys/module/nvidia"
    loaded = Recorded(
        {
            f"{nvidia}/holders/nvidia_uvm": "",
            f"{nvidia}/holders/nvidia_modeset": "",
            f"{nvidia}_modeset/holders/nvidia_drm": "",
            f"{nvidia}_drm/parameters/modeset": "Y\n",
        }
    )
    found = read_linux(loaded, RELEASE)
    assert found.holders == {"nvidia": ("nvidia_modeset", "nvidia_uvm"), "nvidia_modeset": ("nvidia_drm",)}
    assert found.parameters == {"nvidia_drm.modeset": "Y"}
    assert read_linux(Recorded({}), RELEASE).holders == {}


CONFIG = "# Linux\nCONFIG_VFIO=m\n# CONFIG_IOMMUFD is not set\nCONFIG_VFIO_PCI=m\nCONFIG_AMD_IOMMU=y\nCONFIG_HZ=250\n"


def test_the_kernels_configuration_is_packed_or_in_boot():
    expected = {"AMD_IOMMU": "y", "VFIO": "m", "VFIO_PCI": "m"}
    packed = Recorded({}, blobs={"/proc/config.gz": gzip.compress(CONFIG.encode())})
    assert read_linux(packed, RELEASE).config == expected
    assert read_linux(Recorded({f"/boot/config-{RELEASE}": CONFIG}), RELEASE).config == expected
    assert read_linux(Recorded({f"{MODULES}/config": CONFIG}), RELEASE).config == expected


def test_a_configuration_that_cannot_be_had_says_why():
    path = f"/boot/config-{RELEASE}"
    assert read_linux(Recorded({}), RELEASE).config == Missing("absent", path)
    assert read_linux(Recorded({}, denied=frozenset({path})), RELEASE).config == Missing("denied", path)
    broken = Recorded({"/proc/config.gz": "not packed"})
    assert read_linux(broken, RELEASE).config == Missing("unreadable", "/proc/config.gz")


def test_modules_are_loaded_or_loadable_with_dashes_or_underscores():
    texts = {
        f"{MODULES}/modules.dep": "kernel/drivers/vfio/pci/vfio-pci.ko.xz: kernel/drivers/vfio/vfio.ko.xz\n",
        f"{MODULES}/modules.builtin": "kernel/drivers/vfio/vfio_iommu_type1.ko\nkernel/fs/ext4.ko\n",
        "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode": "N",
        "/sys/module/ext4/parameters/x": "1",
    }
    found = read_linux(Recorded(texts), RELEASE)
    assert found.loadable == ("vfio", "vfio_iommu_type1", "vfio_pci")
    assert (found.modules, found.parameters) == (("vfio",), {"vfio.enable_unsafe_noiommu_mode": "N"})
    assert read_linux(Recorded({}), RELEASE).loadable == Missing("absent", f"{MODULES}/modules.dep")


def test_lockdown_is_the_word_in_brackets_and_framebuffers_lose_their_numbers():
    texts = {"/sys/kernel/security/lockdown": "none [integrity] confidentiality", "/proc/fb": "0 EFI VGA\n1 nouveau\n"}
    found = read_linux(Recorded(texts), RELEASE)
    assert (found.lockdown, found.framebuffers) == ("integrity", ("EFI VGA", "nouveau"))
    assert read_linux(Recorded({}), RELEASE).lockdown is None


# ---- the machine ----


def test_tables_are_seen_by_name_though_only_root_may_read_them():
    tables = "/sys/firmware/acpi/tables"
    found = Recorded({f"{tables}/APIC": ""}, denied=frozenset({f"{tables}/DMAR", f"{tables}/DSDT"}))
    assert read_firmware(found).tables == ("DMAR",)
    assert read_firmware(Recorded({})).tables == ()
    assert read_firmware(Recorded({}, denied=frozenset({tables}))).tables == Missing("denied", tables)


CPU = "processor\t: 0\nflags\t\t: fpu {}\naddress sizes\t: 46 bits physical, 48 bits virtual\n\nprocessor\t: 1\n"


@pytest.mark.parametrize(
    ("flags", "virtual", "able"), [("vmx", False, True), ("svm hypervisor", True, True), ("sse", False, False)]
)
def test_a_vm_and_the_ability_to_run_vms_are_flags_of_the_first_cpu(flags: str, virtual: bool, able: bool):
    found = read_firmware(Recorded({"/proc/cpuinfo": CPU.format(flags)}))
    assert (found.virtual, found.virtualization, found.physical_bits) == (virtual, able, 46)


def test_a_xen_guest_has_no_flag_but_a_file_and_unknown_cpus_are_not_blamed():
    found = read_firmware(Recorded({"/sys/hypervisor/type": "xen"}))
    assert (found.virtual, found.virtualization, found.physical_bits) == (True, True, None)
    assert (found.hypervisor, read_firmware(Recorded({})).hypervisor) == ("xen", None)


def test_a_notebook_is_portable_and_may_sleep():
    texts = {"/sys/class/dmi/id/chassis_type": "10", "/sys/power/state": "freeze mem disk"}
    found = read_firmware(Recorded(texts | {"/sys/class/dmi/id/sys_vendor": "LENOVO"}))
    assert (found.portable, found.sleeps, found.vendor) == (True, ("freeze", "mem", "disk"), "LENOVO")
    assert not read_firmware(Recorded({"/sys/class/dmi/id/chassis_type": "23"})).portable


# ---- IOMMUs ----


def test_each_unit_says_whether_it_remaps_and_snoops():
    unit = "/sys/class/iommu/dmar{}/intel-iommu"
    texts = {
        f"{unit.format(10)}/cap": "d2008c222f0686",
        f"{unit.format(10)}/ecap": "f42",
        f"{unit.format(2)}/cap": "d2008c22260286",
        f"{unit.format(2)}/ecap": "f00fca",
        f"{unit.format(2)}/domains_used": "22",
        f"{unit.format(2)}/domains_supported": "65536",
    }
    found = read_iommu(Recorded(texts))
    assert found is not None
    assert found.units == (
        IommuUnit("dmar2", 39, snoops=True, remaps=True, domains=22, most_domains=65536),
        IommuUnit("dmar10", 48, snoops=False, remaps=False),
    )
    assert found.address_bits == 39


def test_first_stage_tables_reach_one_bit_less():
    ecap = f"{1 << 47 | 1 << 43:x}"
    unit = "/sys/class/iommu/dmar0/intel-iommu"
    found = read_iommu(Recorded({f"{unit}/cap": "d2008c222f0686", f"{unit}/ecap": ecap}))
    assert found is not None
    assert found.address_bits == 47


def test_amds_features_are_two_numbers_in_either_order_and_are_not_needed():
    for features in ("0:29d3", "29d3:0"):
        found = read_iommu(Recorded({"/sys/class/iommu/ivhd0/amd-iommu/features": features}))
        assert found is not None
        assert found.units == (IommuUnit("ivhd0", 48, snoops=True, remaps=True),)


def test_a_group_names_what_is_no_pci_function_and_its_driver():
    folder = "/sys/kernel/iommu_groups/7"
    links = {f"{folder}/devices/INTC1085:00/driver": "../../bus/platform/drivers/pinctrl-intel"}
    texts = {f"{folder}/name": "vfio-noiommu", f"{folder}/devices/0000:00:1f.0/class": "", f"{folder}/devices/x/y": ""}
    (group,) = read_groups(Recorded(texts, links))
    assert (group.name, group.others) == ("vfio-noiommu", ("INTC1085:00", "x"))
    assert group.other_drivers == {"INTC1085:00": "pinctrl-intel"}


# ---- memory ----


def test_what_may_be_committed_and_which_huge_pages_are_promised():
    pool = "/sys/kernel/mm/hugepages/hugepages-2048kB"
    texts = {
        "/proc/meminfo": "MemTotal: 100 kB\nCommitLimit: 50 kB\nCommitted_AS: 20 kB\nHugePages_Total: 8\n",
        "/proc/sys/vm/overcommit_memory": "2",
        f"{pool}/nr_hugepages": "8",
        f"{pool}/resv_hugepages": "3",
    }
    found = read_memory(Recorded(texts))
    assert (found.overcommit, found.commit_limit, found.committed) == (2, 51200, 20480)
    assert found.reserved_huge_pages == {str(2 * MIB): 3}


# ---- cgroups ----

CGROUP = "/sys/fs/cgroup"


def test_the_tightest_cgroup_above_us_counts():
    texts = {
        "/proc/self/cgroup": "0::/machine.slice/vm.scope",
        f"{CGROUP}/machine.slice/memory.max": str(2 * GIB),
        f"{CGROUP}/machine.slice/memory.current": str(GIB),
        f"{CGROUP}/machine.slice/vm.scope/memory.max": "max",
        f"{CGROUP}/machine.slice/vm.scope/hugetlb.2MB.max": str(64 * MIB),
        f"{CGROUP}/machine.slice/vm.scope/hugetlb.2MB.current": str(2 * MIB),
        f"{CGROUP}/machine.slice/vm.scope/hugetlb.1GB.max": "max",
    }
    assert memory_limit(Recorded(texts)) == Limit("/machine.slice", 2 * GIB, GIB)
    assert huge_limits(Recorded(texts)) == {str(2 * MIB): Limit("/machine.slice/vm.scope", 64 * MIB, 2 * MIB)}
    assert memory_limit(Recorded({"/proc/self/cgroup": "0::/"})) is None


def test_the_root_of_a_cgroup_namespace_has_a_limit_too():
    texts = {"/proc/self/cgroup": "0::/", f"{CGROUP}/memory.max": "1073741824", f"{CGROUP}/memory.current": "4096"}
    assert memory_limit(Recorded(texts)) == Limit("/", GIB, 4096)


def test_version_1_writes_no_limit_as_a_large_number():
    texts = {
        "/proc/self/cgroup": "12:cpu,cpuacct:/\n4:memory:/user:1\n1:name=systemd:/\n0::/user.slice\n",
        f"{CGROUP}/memory/memory.limit_in_bytes": "9223372036854771712",
        f"{CGROUP}/memory/user:1/memory.limit_in_bytes": "4096",
        f"{CGROUP}/memory/user:1/memory.usage_in_bytes": "1024",
        f"{CGROUP}/user.slice/memory.max": "7",
    }
    assert memory_limit(Recorded(texts)) == Limit("/user:1", 4096, 1024)


# ---- the process ----

STATUS = "Uid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\nGroups:\t36 5 1000 \nVmLck:\t    2048 kB\n"


def test_limits_of_processes_are_those_of_all_cgroups_from_ours_up():
    """A parent that allows more may have less of it left."""
    folder = "/sys/fs/cgroup/machine.slice"
    texts = {
        "/proc/self/cgroup": "0::/machine.slice/vm.scope",
        f"{folder}/pids.max": "1000",
        f"{folder}/pids.current": "990",
        f"{folder}/vm.scope/pids.max": "64",
        f"{folder}/vm.scope/pids.current": "3",
    }
    both = Limit("/machine.slice", 1000, 990), Limit("/machine.slice/vm.scope", 64, 3)
    assert task_limits(Recorded(texts)) == both
    assert task_limits(Recorded(texts | {f"{folder}/pids.max": "max"})) == both[1:]
    old = {path.replace("cgroup/machine", "cgroup/pids/machine"): text for path, text in texts.items()}
    assert task_limits(Recorded(old | {"/proc/self/cgroup": "7:pids:/machine.slice/vm.scope\n0::/"})) == both


def test_the_lower_limit_of_address_space_and_data_counts():
    line = "Max {:22}{:<21}{:<21}bytes\n"
    both = line.format("data size", 1 << 30, 1 << 30) + line.format("address space", 1 << 29, 1 << 31)
    for text, expected in ((both, 1 << 30), (both.splitlines()[1], 1 << 31), ("", None)):
        assert read_process(Recorded({"/proc/self/limits": text}), None).address_space == expected


def test_what_a_user_has_is_counted_where_few_are_allowed():
    """A thread is what the kernel counts, of the real user."""
    status = "Uid:\t{0}\t{1}\t{1}\t{1}\nThreads:\t{2}\n"
    texts = {
        "/proc/self/status": status.format(1000, 1000, 1),
        "/proc/self/limits": "Max processes             40                   50                   processes \n",
        "/proc/7/status": status.format(1000, 1000, 3),
        "/proc/8/status": status.format(1000, 0, 4),
        "/proc/9/status": status.format(0, 1000, 100),
        "/proc/10/comm": "has ended",
    }
    found = read_process(Recorded(texts), None)
    assert (found.tasks, found.user_tasks) == (50, 7)
    texts["/proc/self/limits"] = texts["/proc/self/limits"].replace("50  ", "5000")
    assert read_process(Recorded(texts), None).user_tasks is None


def test_groups_and_memory_that_is_locked_already():
    found = read_process(Recorded({"/proc/self/status": STATUS}), None)
    assert (found.groups, found.locked, found.sees_all) == ((5, 36, 1000), 2 * MIB, True)


def test_in_a_user_namespace_of_its_own_capabilities_do_not_count():
    whole = "         0          0 4294967295"
    assert not read_process(Recorded({"/proc/self/uid_map": whole}), None).own_user_namespace
    assert read_process(Recorded({"/proc/self/uid_map": "0 100000 65536"}), None).own_user_namespace


def test_a_container_has_a_mark_and_namespaces_that_are_not_the_first():
    links = {"/proc/self/ns/pid": "pid:[4026531836]", "/proc/self/ns/cgroup": "cgroup:[4026531835]"}
    mark = {"/.dockerenv": ""}
    assert read_process(Recorded(mark), None).container
    assert not read_process(Recorded({}), None).container
    assert not read_process(Recorded(mark, links), None).container


@pytest.mark.parametrize(
    ("label", "enforced", "profile"),
    [
        ("unconfined", "", None),
        ("docker-default (enforce)", "", "docker-default (enforce)"),
        ("libvirtd (complain)", "", None),
        ("system_u:system_r:svirt_t:s0:c1,c2\0", "1", "system_u:system_r:svirt_t:s0:c1,c2"),
        ("system_u:system_r:svirt_t:s0:c1,c2\0", "0", None),
        ("unconfined_u:unconfined_r:unconfined_t:s0\0", "1", None),
    ],
)
def test_only_what_is_enforced_confines(label: str, enforced: str, profile: str | None):
    texts = {"/proc/self/attr/current": label, "/sys/fs/selinux/enforce": enforced}
    assert read_process(Recorded(texts), None).profile == profile


ACCOUNTS = {
    "/etc/passwd": "root:x:0:0::/root:/bin/sh\nada:x:1001:1001::/home/ada:/bin/sh\n",
    "/etc/group": "kvm:x:36:grace,ada\nvideo:x:44:grace\nada:x:1001:\n",
}


def test_another_user_has_the_groups_of_the_files_and_no_capabilities():
    found = process_as(Recorded(ACCOUNTS), 1001, replace(ME, capabilities=("cap_sys_admin",), locked=7))
    assert (found.uid, found.gid, found.groups) == (1001, 1001, (36, 1001))
    assert (found.capabilities, found.memlock, found.locked) == ((), 8 * MIB, 0)
    assert found.state_folder == "/run/user/1001/vmlaunch"


def test_root_has_what_its_bounds_and_the_first_process_have():
    limits = "Max locked memory         8388608              unlimited            bytes     \n"
    texts = ACCOUNTS | {"/proc/1/limits": limits, "/proc/self/status": "CapBnd:\t0000000000204000\n"}
    found = process_as(Recorded(texts), 0, ME)
    assert (found.uid, found.capabilities) == (0, ("cap_ipc_lock", "cap_sys_admin"))
    assert (found.memlock, found.state_folder) == (None, "/run/vmlaunch")
    assert len(process_as(Recorded(ACCOUNTS), 0, ME).capabilities) > 5


# ---- device nodes ----


def access_list(*entries: tuple[int, int, int]) -> bytes:
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (Status("char", 0o600, 0, 0), False),
        (Status("char", 0o666, 0, 0), True),
        (Status("char", 0o660, 0, 5), True),
        (Status("char", 0o640, 0, 5), False),
        (Status("char", 0o060, 1000, 5), False),  # the owner's bits decide, though the group's would do
        (Status("char", 0o660, 0, 36, access_list=access_list((1, 6, 0), (2, 6, 1000), (16, 6, 0), (32, 0, 0))), True),
        (Status("char", 0o660, 0, 36, access_list=access_list((1, 6, 0), (2, 6, 1000), (16, 4, 0), (32, 0, 0))), False),
        (Status("char", 0o660, 0, 36, access_list=access_list((1, 6, 0), (8, 6, 5), (16, 6, 0), (32, 0, 0))), True),
    ],
)
def test_a_node_is_usable_by_mode_owner_groups_and_access_list(status: Status, expected: bool):
    assert usable(status, ME) is expected


def test_root_may_open_anything_but_not_in_a_user_namespace_of_its_own():
    root = replace(ME, uid=1, capabilities=("cap_dac_override",))
    assert usable(Status("char", 0o600, 0, 0), root)
    assert not usable(Status("char", 0o600, 0, 0), replace(root, own_user_namespace=True))


def test_nodes_are_listed_with_their_holders_and_nobody_is_not_unknown():
    nodes = {f"/dev/{name}": Status("char", 0o660, 0, 36) for name in ("kvm", "vfio/vfio", "vfio/12", "vfio/12.old")}
    machine = Recorded({"/proc/9/comm": "qemu"}, nodes=nodes)
    found = read_device_nodes(machine, ME, Opened({"/dev/vfio/12": {9}}))
    assert [(one.path, one.holders) for one in found] == [
        ("/dev/kvm", ()),
        ("/dev/vfio/12", (Holder(9, "qemu"),)),
        ("/dev/vfio/vfio", ()),
    ]
    ours = with_handed(found, ["/dev/vfio/12", "/dev/vfio/7"])
    assert [(one.path, one.usable) for one in ours if not one.holders] == [
        ("/dev/kvm", False),
        ("/dev/vfio/12", True),
        ("/dev/vfio/7", True),
        ("/dev/vfio/vfio", False),
    ]
    unseen = read_device_nodes(machine, ME, Opened({}, all_seen=False))
    assert {one.holders for one in unseen} == {Missing("denied", "/proc/*/fd")}


# ---- all of it ----


def test_redacted_facts_have_no_serials_no_addresses_of_cards_and_no_raw_bytes():
    net = "/sys/class/net/enx525400123456"
    blob = config(extended=((0x0003, bytes.fromhex("56341200ff005452")),))
    machine = tree(
        {f"{PCI}/nvme/nvme0/serial": "S4EWNX0R", f"{net}/address": "52:54:00:12:34:56"}
        | {f"{net}/flags": "0x1003", "/proc/cmdline": "quiet BOOTIF=01-52-54-00-12-34-56 iommu=pt"},
        {net: "../../devices/pci0000:00/0000:00:02.0/0000:01:00.0/net/enx525400123456"},
        blobs={f"{PCI}/config": blob},
    )
    facts = survey(machine, Missing("absent", "/dev/kvm"), raw=True)
    (found,) = redacted(facts).pci
    assert isinstance(found.config, Config)
    assert (found.serial, found.interfaces[0].mac, found.config.serial_number) == ("redacted",) * 3
    assert found.config.raw is None
    assert found.uses[0].what == "enxredacted is up"
    assert redacted(facts).linux.cmdline == "iommu=pt"
    assert redacted(replace(facts, boot_id="5ca1ab1e")).boot_id is None
    text = str(encode(redacted(facts)))
    assert not [secret for secret in ("S4EWNX0R", "52:54:00", "52-54-00", "525400", "565434") if secret in text]


def test_redacted_facts_keep_the_parameters_of_the_kernel_that_a_plan_depends_on():
    kept = "intel_iommu=on iommu=pt intremap=off vfio-pci.ids=10de:2684 pcie_acs_override=downstream pci=nomsi"
    secret = "BOOT_IMAGE=/vmlinuz-6.12 root=UUID=0a1b ip=10.0.0.7 password=x -- vfio=init"
    facts = replace(host("gpu07"), linux=Linux(cmdline=f"{secret.partition(' -- ')[0]} {kept} -- vfio=init"))
    assert redacted(facts).linux.cmdline == kept
    unread = Missing("denied", "/proc/cmdline")
    assert redacted(replace(facts, linux=Linux(cmdline=unread))).linux.cmdline == unread


def test_the_survey_for_another_user_survives_json_and_says_the_same_twice():
    facts = survey(Live(), Missing("absent", "/dev/kvm"), identity=65533)
    assert decode(HostFacts, encode(facts)) == facts
    assert (facts.process.uid, facts.process.capabilities) == (65533, ())
    again = survey(Live(), Missing("absent", "/dev/kvm"), identity=65533)
    assert (again.linux.config, again.linux.parameters, again.groups) == (
        facts.linux.config,
        facts.linux.parameters,
        facts.groups,
    )
