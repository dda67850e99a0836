"""`vmlaunch doctor`: which line a finding belongs to, and what is so where there is none."""

from __future__ import annotations

from collections import Counter

import pytest

from launcher.api.checkup import checkup
from launcher.codes import explanation
from launcher.errors import Diagnostic
from launcher.host.facts import HostFacts, Limit, Linux
from launcher.record import replace
from launcher.report.doctor import SUBJECTS, Check, doctor_closing, doctor_text, examine
from launcher.values import GIB, Missing, PciAddress
from tests.planning import HOSTS, host
from tests.served import served


def by_subject(facts: HostFacts, *left: Diagnostic) -> dict[str, Check]:
    return {one.subject: one for one in checkup(facts, left)}


LOST = Diagnostic("W502", "trainer lost its keeper; nothing is left to undo", help=("`vmlaunch down trainer`",))


def test_a_host_that_can_do_all_has_no_failure():
    checks = by_subject(host("gpu-server"))
    assert {one.level for one in checks.values()} == {"PASS"}
    assert checks["IOMMU"].fact == "Intel VT-d, 57 bits, 59 groups"
    assert checks["huge pages"].fact.startswith("800 of 800 x 1 GiB free on node 0")


def test_no_kvm_and_no_iommu_fail_with_a_remedy_each():
    checks = by_subject(host("no-kvm"))
    assert (checks["KVM"].level, checks["KVM"].code) == ("FAIL", "E401")
    assert checks["KVM"].remedy
    assert "KVM capabilities" not in checks
    cloud = by_subject(host("cloud-vm"))["IOMMU"]
    assert (cloud.level, cloud.code) == ("FAIL", "E209")
    assert cloud.remedy


def test_who_may_be_a_vm_is_not_sent_to_a_firmware_setup_first():
    """Facts from before the machine was named: only its devices hint at what it is."""
    cloud = host("cloud-vm")
    assert "if it is a VM" in str(by_subject(cloud)["IOMMU"].remedy)
    bare = replace(cloud, pci=tuple(one for one in cloud.pci if not one.id.startswith("1af4:")))
    named = replace(cloud, firmware=replace(cloud.firmware, vendor="Supermicro"))
    for one in (bare, named):
        assert str(by_subject(one)["IOMMU"].remedy).startswith("switch on the host's IOMMU in the firmware setup")


@pytest.mark.parametrize("name", sorted(path.stem for path in HOSTS.glob("*.json")))
def test_a_remedy_is_read_at_a_glance(name: str):
    """Elsewhere than on a terminal it is one line, however long; words that fill lines are in `explain`."""
    remedies = [one.remedy for one in checkup(host(name), ()) if one.remedy]
    assert [one for one in remedies if len(one) > 120] == []


def test_a_user_is_told_what_only_root_may_do():
    checks = by_subject(host("laptop"))
    assert (checks["permissions"].level, checks["locked memory limit"].level) == ("FAIL", "FAIL")
    assert "8 MiB" in checks["locked memory limit"].fact
    assert checks["sleep"].level == "WARN"


def test_interrupts_that_are_not_remapped_are_a_failure():
    server = host("gpu-server")
    checks = by_subject(replace(server, linux=replace(server.linux, remapping=False)))
    assert checks["interrupt remapping"].code == "E225"


def test_a_cgroup_that_is_too_small_is_a_failure():
    server = host("gpu-server")
    limit = Limit("/user.slice", 1 << 28, 1 << 20)
    assert (
        by_subject(replace(server, process=replace(server.process, memory_limit=limit)))["cgroup limits"].code == "E313"
    )
    roomy = Limit("/user.slice", 64 * GIB, 1 << 20)
    passed = by_subject(replace(server, process=replace(server.process, memory_limit=roomy)))["cgroup limits"]
    assert (passed.level, passed.fact) == ("PASS", "1 MiB of 64 GiB in /user.slice")


def test_what_is_wrong_with_single_devices_is_not_the_hosts():
    gpu07 = host("gpu07")
    stuck = tuple(replace(one, reset=()) for one in gpu07.pci)
    assert {one.level for one in checkup(replace(gpu07, pci=stuck), ())} == {"PASS"}


def test_an_override_that_keeps_a_driver_away_is_a_leftover():
    gpu07, where = host("gpu07"), PciAddress.parse("0000:02:00.0")
    left = tuple(
        replace(one, driver=None, driver_override="vfio-pci") if one.address == where else one for one in gpu07.pci
    )
    found = by_subject(replace(gpu07, pci=left))["leftovers"]
    assert (found.level, found.code) == ("WARN", "W233")
    assert found.remedy
    assert "/sys/bus/pci/devices/0000:02:00.0/driver_override" in found.remedy


def test_a_vm_whose_keeper_died_is_a_leftover():
    found = by_subject(host("gpu07"), LOST)["leftovers"]
    assert (found.level, found.remedy) == ("WARN", "`vmlaunch down trainer`")


def test_a_host_without_any_pci_device_is_examined_too():
    bare = replace(host("gpu07"), pci=(), groups=(), iommu=None)
    assert by_subject(bare)["IOMMU"].code == "E209"


def test_a_fact_that_is_not_known_passes_nothing():
    unknown = replace(host("gpu07"), kvm=Missing("denied", "/dev/kvm"), linux=Linux())
    assert "KVM capabilities" not in by_subject(unknown)
    assert "interrupt remapping" not in by_subject(unknown)


def without_vfio(facts: HostFacts) -> HostFacts:
    return replace(facts, linux=replace(facts.linux, modules=("kvm",), loadable=("kvm",)))


def test_a_kernel_without_vfio_fails_and_what_rests_on_vfio_passes_nothing():
    checks = by_subject(without_vfio(host("gpu-server")))
    assert (checks["VFIO modules"].level, checks["VFIO modules"].code) == ("FAIL", "E222")
    assert not checks.keys() & {"vfio-pci", "permissions"}


def test_both_walls_are_said_where_there_is_no_iommu_either():
    checks = by_subject(without_vfio(replace(host("gpu-server"), iommu=None)))
    assert (checks["IOMMU"].code, checks["VFIO modules"].code) == ("E209", "E222")
    assert "interrupt remapping" not in checks


def test_the_lack_of_the_iommus_driver_is_not_said_of_vfio():
    checks = examine(host("gpu07"), [Diagnostic("E222", "Linux 6.12 is built without the driver of this host's IOMMU")])
    assert [one.subject for one in checks if one.code == "E222"] == ["IOMMU"]


def test_modules_of_which_it_is_not_known_whether_they_are_there_pass_nothing():
    server = host("gpu-server")
    unknown = replace(server.linux, modules=("kvm",), loadable=Missing("denied", "/lib/modules"))
    assert "VFIO modules" not in by_subject(replace(server, linux=unknown))


def test_every_code_of_the_table_exists_and_has_one_subject():
    """But for E222, which is said of the IOMMU's driver and of VFIO, and what is said of engines, nodes, firmware."""
    codes = [code for subject in SUBJECTS for code in subject.codes]
    several = {code for code, number in Counter(codes).items() if number > 1}
    assert several == {"E222", "E450", "E630", "E631", "E632", "E633", "E642", "E643"}
    assert not [code for code in codes if explanation(code) is None]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_lines_fit_and_a_remedy_follows_what_is_wrong(width: int):
    checks = checkup(host("laptop"), (LOST,))
    lines = doctor_text(checks, width=width).splitlines()
    assert max(map(len, lines)) <= width
    wrong = [one for one in checks if one.level != "PASS"]
    assert sum(line.startswith("      -> ") for line in lines) == sum(one.remedy is not None for one in wrong)
    assert {line[:4].strip() for line in lines} <= {"PASS", "WARN", "FAIL", ""}


def test_the_last_line_counts():
    assert doctor_closing(()) == "0 failures, 0 warnings."
    one = (Check("FAIL", "IOMMU", "none", "E209", "switch it on"),)
    assert doctor_closing(one).startswith("1 failure, 0 warnings. ")


def test_colour_adds_nothing_but_escapes():
    checks = examine(host("gpu07"), ())
    coloured = doctor_text(checks, colour=True)
    assert coloured.replace("\033[32m", "").replace("\033[0m", "") == doctor_text(checks)
    assert "\033[32mPASS\033[0m" in coloured


def test_what_serves_disks_and_networks_is_a_wish_and_no_failure() -> None:
    """Most VMs do without some of it; of a host that was recorded before nothing is said."""
    assert "disks" not in by_subject(host("gpu-server"))
    whole = by_subject(served(host("gpu-server")))
    assert whole["disks"] == Check("PASS", "disks", "/usr/bin/qemu-storage-daemon 10.0.2")
    assert whole["networks"].fact == "vhost-net; bridges: br0"
    assert {one.level for one in whole.values()} == {"PASS"}
    bare = served(host("gpu-server"), programs={}, nodes=(), modules=(), links=(), user_namespaces=0)
    found = {one.subject: one for one in checkup(bare) if one.level != "PASS"}
    assert {name: one.code for name, one in found.items()} == {
        "disks": "E630",
        "shares": "E657",
        "networks": "E642",
        "networks of users": "E630",
        "vsock": "E642",
    }
    assert {one.level for one in found.values()} == {"WARN"}
