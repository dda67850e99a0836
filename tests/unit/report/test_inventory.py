"""`vmlaunch devices` for people: what is on which line, and what it says of each device."""

from __future__ import annotations

import pytest

from launcher.api.verdicts import Trials
from launcher.host.class_names import class_name
from launcher.host.facts import (
    BlockDevice,
    HostFacts,
    Interface,
    MediatedDevice,
    MediatedParent,
    MediatedType,
    Use,
)
from launcher.record import replace
from launcher.report.first_spec import first_spec
from launcher.report.inventory import NAMELESS, inventory_text
from launcher.values import Mdev, PciAddress
from tests.planning import host

UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"


def listing(facts: HostFacts, width: int = 100) -> str:
    return inventory_text(facts, facts.pci, Trials(facts).verdicts(facts.pci), width)


def verdict_of(address: str, facts: HostFacts) -> str:
    """From its line and those that go on with it."""
    lines = listing(facts).splitlines()
    column = next(line for line in lines if line.startswith("group")).index("verdict")
    start = next(n for n, line in enumerate(lines) if line[7:19] == address)
    more = next((n for n, line in enumerate(lines[start + 1 :], start + 1) if line[7:8].strip()), len(lines))
    return " ".join(filter(None, (line[column:] for line in lines[start:more] if line[7:19].strip() in ("", address))))


def with_use(address: str, *uses: Use) -> HostFacts:
    facts, where = host("gpu07"), PciAddress.parse(address)
    return replace(facts, pci=tuple(replace(one, uses=uses) if one.address == where else one for one in facts.pci))


def test_devices_are_in_the_order_of_their_groups_and_a_group_is_named_once():
    lines = listing(host("gpu07")).splitlines()
    assert lines[0] == "gpu07 · Linux 6.12.9 · AMD-Vi"
    table = lines[lines.index("") + 2 : lines.index("", lines.index("") + 1)]
    groups = [int(line[:5]) for line in table if line[:5].strip()]
    assert groups == sorted(set(groups))


def test_each_device_has_a_verdict():
    gpu07 = host("gpu07")
    assert verdict_of("0000:02:00.0", gpu07) == "can be passed"
    assert verdict_of("0000:00:01.1", gpu07) == "a bridge"
    assert verdict_of("0000:c1:00.0", gpu07) == "if its spec says companions: attach"
    assert "\n13 functions: " in listing(gpu07)


def test_what_the_host_does_with_a_device_is_said():
    disk = with_use("0000:02:00.0", Use("mounted", "nvme0n1p2 on /", "/"))
    assert verdict_of("0000:02:00.0", disk) == "no: in use: nvme0n1p2 on /"
    nic = with_use("0000:3b:01.1", Use("interface", "eth7 is up", "eth7"))
    assert verdict_of("0000:3b:01.1", nic) == "if its spec says allow: [in-use] (eth7 is up)"


def known_as(address: str, *disks: BlockDevice, interfaces: tuple[Interface, ...] = ()) -> HostFacts:
    facts, where = host("gpu07"), PciAddress.parse(address)
    found = (replace(one, disks=disks, interfaces=interfaces) if one.address == where else one for one in facts.pci)
    return replace(facts, pci=tuple(found))


def test_the_host_knows_a_device_by_a_name_of_its_own():
    drive = known_as("0000:02:00.0", BlockDevice("nvme0n1", 512_110_190_592), BlockDevice("nvme0n2", None))
    for width in (60, 100, 200):
        lines = listing(drive, width).splitlines()
        first = next(n for n, line in enumerate(lines) if line[7:19] == "0000:02:00.0")
        assert "nvme0n1 476.94 GiB, nvme0n2" in " ".join(" ".join(lines[first : first + 3]).split())
    assert verdict_of("0000:02:00.0", drive) == "can be passed"
    text = first_spec("vm", drive, Trials(drive).verdicts(drive.pci), ())
    assert ", nvme0n1 476.94 GiB, nvme0n2, group " in text
    nic = known_as("0000:3b:01.1", interfaces=(Interface("eth7", None, False),))
    assert "eth7" in [line.strip() for line in listing(nic).splitlines()]


def test_what_keeps_all_devices_from_being_passed_is_said_once_and_first():
    text = listing(host("cloud-vm"))
    assert text.splitlines()[0].endswith("no IOMMU in use")
    assert text.splitlines()[1].startswith("No device can be passed: ")
    assert text.count("E209") == 1
    assert verdict_of("0000:00:03.0", host("cloud-vm")).startswith("no: see the lines above; and its spec must say ")
    assert "see above" not in text


def test_what_only_root_may_do_is_not_said_of_each_device():
    text = listing(host("laptop"))
    assert (text.count("E228"), text.count("E224")) == (1, 1)


def test_what_is_in_the_way_of_each_device_for_a_reason_of_its_own_is_said_of_each():
    facts = with_use("0000:02:00.0", Use("mounted", "nvme0n1p2 on /", "/"))
    pci = tuple(
        replace(one, uses=(Use("swap", "nvme1n1p1 is swap", "nvme1n1p1"),))
        if str(one.address) == "0000:81:00.0"
        else one
        for one in facts.pci
    )
    disks = tuple(one for one in pci if one.class_code == "010802")
    text = inventory_text(facts, disks, Trials(replace(facts, pci=pci)).verdicts(disks))
    assert "No device can be passed" not in text
    assert "in use: nvme0n1p2 on /" in text
    assert "in use: nvme1n1p1 is swap" in text


@pytest.mark.parametrize("name", ["gpu07", "cloud-vm", "gpu-server", "laptop"])
@pytest.mark.parametrize("width", [60, 80, 100])
def test_lines_fit_and_have_no_trailing_blanks(name: str, width: int):
    lines = listing(host(name), width).splitlines()
    assert max(map(len, lines)) <= width
    assert not [line for line in lines if line != line.rstrip()]


@pytest.mark.parametrize("name", ["gpu-server", "laptop"])
@pytest.mark.parametrize("width", [60, 80, 100])
def test_what_is_to_be_written_into_the_spec_is_on_one_line(name: str, width: int):
    for line in listing(host(name), width).splitlines():
        assert ("allow:" in line) == ("allow: [" in line)
        assert line.count("companions:") == line.count("companions: attach") + line.count("companions: detach")


def test_a_narrow_terminal_has_verdicts_on_lines_of_their_own():
    lines = listing(host("laptop"), 60).splitlines()
    disk = next(n for n, line in enumerate(lines) if line[7:19] == "0000:04:00.0")
    assert lines[disk + 1].startswith("         no: in use: nvme0n1p1 on /boot/efi")
    assert "verdict" not in "".join(lines)


def test_a_list_without_verdicts_says_so():
    facts = host("gpu07")
    assert inventory_text(facts, facts.pci, {}).splitlines()[-1] == "13 functions: 13 not judged."
    assert inventory_text(facts, (), {}).splitlines()[-1] == "No PCI device of this kind."


def test_a_host_without_devices_is_not_asked_for_a_kind():
    facts = replace(host("no-kvm"), pci=())
    assert inventory_text(facts, (), {}).splitlines()[1:] == ["", "No PCI device on this host."]


def test_a_wide_terminal_is_made_use_of():
    narrow, wide = listing(host("gpu07"), 100), listing(host("gpu07"), 200)
    assert ("…" in narrow, "…" in wide) == (True, False)
    assert max(map(len, wide.splitlines())) > 100


def test_without_pci_ids_classes_have_names_and_the_package_is_named():
    facts = host("gpu07")
    nameless = replace(facts, pci=tuple(replace(one, name=None) for one in facts.pci))
    text = listing(nameless, 200)
    nvme = next(one for one in facts.pci if one.class_code == "010802")
    assert f"{nvme.address}  {nvme.id} NVMe controller class 010802 " in text
    assert text.splitlines()[-1] == NAMELESS
    assert f"{nvme.address}  {nvme.id} NVMe controller  " in listing(nameless, 98)  # no digits are cut
    assert NAMELESS not in listing(facts, 200)


@pytest.mark.parametrize(
    ("code", "name"),
    [("030000", "VGA controller"), ("01083f", "memory controller for storage"), ("019999", "storage controller"),
     ("ffff00", None), ("", None)],
)  # fmt: skip
def test_the_longest_class_that_is_known_is_named(code: str, name: str | None):
    assert class_name(code) == name


def test_mediated_devices_stand_behind_the_others_whole():
    one = MediatedDevice(Mdev(UUID), "mtty-2", "Dual port serial", "vfio-pci", "mtty", "mtty", None, 70)
    two = replace(one, address=Mdev(UUID[:-1] + "2"), type="mdpy-vga", name="mdpy-vga", parent="mdpy", group=None)
    facts = replace(host("gpu07"), mediated=(one, two))
    assert listing(facts, 60).splitlines()[-3:] == [
        "Mediated devices, which a spec names as `{mdev: UUID}`:",
        f"   70  {UUID}  mtty-2 Dual port serial of mtty",
        f"    -  {UUID[:-1]}2  mdpy-vga of mdpy",
    ]
    assert "Mediated" not in inventory_text(facts, facts.pci[:1], {}, 60)
    text = first_spec("vm", facts, Trials(facts).verdicts(facts.pci), ())
    assert f"#   mdev: {{mdev: {UUID}}}  # mtty-2 Dual port serial of mtty\n" in text
    assert f"#   mdev-2: {{mdev: {UUID[:-1]}2}}  # mdpy-vga of mdpy\n" in text
    alone = first_spec("vm", replace(facts, pci=()), {}, ())
    assert f"# devices:\n#   mdev: {{mdev: {UUID}}}" in alone


def test_what_can_be_made_is_listed_with_how_many_there_can_be():
    kinds = (MediatedType("mtty-1", "Single port serial", "vfio-pci", 24), MediatedType("mdpy-vga", None, None, None))
    facts = replace(host("gpu07"), mediated_parents=(MediatedParent("mtty", kinds), MediatedParent("0000:41:00.0")))
    assert listing(facts, 60).splitlines()[-3:] == [
        "Mediated devices that can be made, as `{mdev: {parent: PARENT, type: TYPE}}`:",
        "mtty  mtty-1    24 left  Single port serial",
        "mtty  mdpy-vga",
    ]
    assert "Mediated" not in inventory_text(facts, facts.pci[:1], {}, 60)
