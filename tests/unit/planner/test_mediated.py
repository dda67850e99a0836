"""Mediated devices, planned: what is opened, what is left for their BARs, and what is in the way."""

from __future__ import annotations

import json
from typing import Any

import pytest

from launcher.codec import decode, encode
from launcher.errors import Refused
from launcher.host.facts import DeviceNode, Holder, HostFacts, MediatedDevice, MediatedParent, MediatedType
from launcher.plan.codec import groups_in, plan_from_json, plan_to_json
from launcher.plan.plan import Plan
from launcher.plan.steps import (
    BindDriver,
    DescribeMachine,
    LoadModules,
    MakeMdev,
    MapDma,
    OpenDevices,
    OpenGroups,
    OpenIommufd,
    PassedMdev,
    TakeMemory,
)
from launcher.plan.whole import check_whole
from launcher.planner.beside import beside
from launcher.record import replace
from launcher.report.plan_text import plan_text
from launcher.values import GIB, MIB, Mdev, PciAddress, Span, own_mdev
from tests.planning import SMALL, codes, host, plan

SERIAL, DISPLAY, OTHER = (f"83b8f4f2-509f-382f-3c1e-e6bfe0fa100{n}" for n in (1, 2, 3))
DEVICES = (
    MediatedDevice(Mdev(SERIAL), "mtty-2", "Dual port serial", "vfio-pci", "mtty", "mtty", None, 70, "vfio0"),
    MediatedDevice(Mdev(DISPLAY), "mdpy-vga", "mdpy-vga", "vfio-pci", "mdpy", "mdpy", None, 71, "vfio1"),
)
ONE = f"{SMALL}devices: {{card: {{mdev: {SERIAL}}}}}\n"


def a_host(name: str = "gpu07", **more: Any) -> HostFacts:
    return replace(host(name), mediated=DEVICES, **more)


def step(made: Plan, kind: type[Any]) -> Any:
    return next((one for one in made.steps if isinstance(one, kind)), None)


def test_one_is_opened_by_its_group_and_nothing_is_bound_or_locked() -> None:
    made = plan(ONE, a_host())
    assert codes(made) == []
    assert step(made, OpenGroups).groups == (70,)
    assert step(made, BindDriver) is None
    assert (step(made, MapDma).locks, step(made, TakeMemory).populate) == (False, False)
    assert made.summary.locked_bytes == 0
    (card,) = step(made, OpenDevices).devices
    assert isinstance(card, PassedMdev)
    assert (card.alias, card.address, card.group, card.guest) == ("card", Mdev(SERIAL), 70, PciAddress(0, 0, 0x10, 0))
    assert "reset what can be reset" in step(made, OpenDevices).describe()
    check_whole(made)


def test_by_iommufd_it_is_opened_by_its_own_node() -> None:
    made = plan(f"{ONE}vfio: iommufd\n", a_host())
    assert [(one.address, one.group) for one in step(made, OpenIommufd).functions] == [(Mdev(SERIAL), 70)]
    assert step(made, OpenGroups) is None
    check_whole(made)


def test_a_host_without_an_iommu_has_them_all_the_same() -> None:
    bare = replace(a_host("cloud-vm"), iommu=None, groups=())
    assert [one for one in codes(plan(ONE, bare)) if one in ("E209", "E208", "E220", "E225")] == []


def test_pci_devices_and_mediated_ones_stand_in_the_order_of_the_file() -> None:
    text = f"{SMALL}devices:\n  serial: {{mdev: {SERIAL}}}\n  disk: 0000:02:00.0\n  show: {{mdev: {DISPLAY}}}\n"
    made = plan(text, a_host())
    assert [(one.alias, one.guest.guest) for one in made.devices if one.guest] == [
        ("serial", "00:10.0"),
        ("disk", "00:11.0"),
        ("show", "00:12.0"),
    ]
    opened = step(made, OpenGroups).groups
    assert opened[1:] == (70, 71)
    assert step(made, MapDma).locks
    disk, *mediated = step(made, OpenDevices).devices
    bars = [Span(bar.guest, bar.size) for bar in disk.bars]
    room = [span for one in mediated for span in (*one.low, *one.ports, *one.high)]
    assert not [one for one in bars if any(one.overlaps(span) for span in room)]
    check_whole(made)


def test_the_guest_is_told_of_the_room_for_large_bars() -> None:
    made = plan(ONE, a_host())
    (card,) = step(made, OpenDevices).devices
    assert step(made, DescribeMachine).window == card.high[0] == Span(64 * GIB, 64 * GIB)


def test_vfio_pci_is_not_needed_for_them() -> None:
    """A user, whom nobody lets load modules, on a host that has no PCI device to pass."""
    linux = replace(host("gpu07").linux, modules=("vfio", "vfio_iommu_type1", "mdev"), loadable=("vfio_pci",))
    process = replace(host("gpu07").process, capabilities=(), memlock=None)
    assert "E224" not in codes(plan(ONE, a_host(linux=linux, process=process)))
    beside = ONE.replace("devices: {", "devices: {disk: 0000:02:00.0, ")
    assert "E224" in codes(plan(beside, a_host(linux=linux, process=process)))
    assert step(plan(ONE, a_host(linux=linux)), LoadModules) is None
    assert step(plan(beside, a_host(linux=linux)), LoadModules).modules == ("vfio_pci",)


def test_a_saved_plan_says_the_same() -> None:
    made = plan(ONE, a_host())
    plain = json.loads(json.dumps(plan_to_json(made)))
    assert plan_from_json(plain).steps == made.steps
    assert list(groups_in(plain)) == [70]
    assert {one.fact for one in made.assumes} >= {f"mediated[{SERIAL}]", "device_nodes[/dev/vfio/70]"}
    facts = decode(HostFacts, json.loads(json.dumps(encode(a_host()))))
    assert facts.mediated == DEVICES


def test_the_plan_shows_it_by_its_uuid_and_its_type() -> None:
    text = plan_text(plan(ONE, a_host()), "", width=120)
    assert f"{SERIAL}  mtty-2 Dual port serial" in text
    absent = plan_text(plan(ONE.replace(SERIAL, OTHER), a_host()), "", width=120)
    assert f"{OTHER}  not found" in absent


def test_one_that_is_not_there_is_named_with_those_that_are() -> None:
    made = plan(ONE.replace(SERIAL, OTHER), a_host())
    (said,) = made.diagnostics
    assert (said.code, said.message) == ("E260", f"card: this host has no mediated device {OTHER}")
    assert [row.split()[0] for row in said.evidence[1:]] == [SERIAL, DISPLAY]
    assert codes(plan(ONE, host("gpu07"))) == ["E260"]


@pytest.mark.parametrize("change", [{"api": "vfio-ccw"}, {"driver": None}, {"group": None}])
def test_one_that_vfio_gives_no_pci_guest_is_refused(change: dict[str, Any]) -> None:
    first, second = DEVICES
    made = plan(ONE, replace(host("gpu07"), mediated=(replace(first, **change), second)))
    assert codes(made) == ["E261"]
    assert step(made, OpenDevices) is None


def test_a_limit_of_locked_memory_below_the_guest_s_is_told_of_and_does_not_block() -> None:
    process = replace(host("gpu07").process, memlock=8 * MIB)
    assert codes(plan(ONE, a_host(process=process))) == []  # root's does not count
    user = replace(process, capabilities=())
    (said,) = [one for one in plan(ONE, a_host(process=user)).diagnostics if one.code == "W269"]
    assert said.message == "card: drivers lock what they use of 256 MiB, and this process may lock 8 MiB"
    roomy = replace(user, memlock=256 * MIB)
    assert "W269" not in codes(plan(ONE, a_host(process=roomy)))
    both = ONE.replace("devices: {", "devices: {disk: 0000:02:00.0, ")
    assert {"E309", "W269"} & set(codes(plan(both, a_host(process=user)))) == {"E309"}


def test_who_may_not_open_its_node_and_who_has_it_open_is_told() -> None:
    nodes = tuple(one for one in host("gpu07").device_nodes or () if one.path != "/dev/vfio/70")
    mine = DeviceNode("/dev/vfio/70", 0o600, 0, 0, usable=False)
    assert codes(plan(ONE, a_host(device_nodes=(*nodes, mine)))) == ["E228"]
    own = DeviceNode("/dev/vfio/devices/vfio0", 0o600, 0, 0, usable=True, holders=(Holder(7, "qemu"),))
    (said,) = plan(ONE, a_host(device_nodes=(*nodes, own))).diagnostics
    assert said.code == "E229"
    assert "qemu (pid 7) has /dev/vfio/devices/vfio0 open" in said.message


# ---- those that are made ----

KINDS = (
    MediatedType("mtty-1", "Single port serial", "vfio-pci", 24),
    MediatedType("mtty-2", "Dual port serial", "vfio-pci", 12),
)
PARENTS = (
    MediatedParent("0000:41:00.0", (MediatedType("nvidia-63", "GRID T4-1Q", "vfio-pci", 0),), 1),
    MediatedParent("mtty", KINDS),
)
MADE = f"{SMALL}name: builder\ndevices: {{card: {{mdev: {{parent: mtty, type: mtty-2}}}}}}\n"
OWN = own_mdev("builder", "card")


def a_maker(**more: Any) -> HostFacts:
    return replace(host("gpu07"), mediated_parents=PARENTS, **more)


@pytest.mark.parametrize("way", ["type1", "iommufd"])
def test_one_that_is_not_there_is_made_and_its_group_is_known_then(way: str) -> None:
    made = plan(f"{MADE}vfio: {way}\n", a_maker())
    assert codes(made) == []
    assert step(made, MakeMdev) == MakeMdev(OWN, "mtty", "mtty-2")
    (card,) = step(made, OpenDevices).devices
    assert (card.address, card.group) == (OWN, None)
    if way == "type1":
        assert (step(made, OpenGroups).groups, step(made, OpenGroups).made) == ((), (OWN,))
        assert step(made, OpenGroups).describe() == "open 1 new group in one container"
    else:
        assert [(one.address, one.group) for one in step(made, OpenIommufd).functions] == [(OWN, None)]
    assert step(made, MapDma) is not None
    check_whole(made)
    plain = json.loads(json.dumps(plan_to_json(made)))
    assert plan_from_json(plain).steps == made.steps
    assert list(groups_in(plain)) == []
    assert made.summary.host_changes == 1
    text = plan_text(made, "", width=120)
    assert f"{OWN}  mtty-2 Dual port serial" in text
    assert "1 mediated device is made, and removed on down" in text


def test_each_has_a_uuid_of_its_own_that_is_the_same_at_each_start() -> None:
    both = MADE.replace("}}}", "}, guest: 00:18.0}, other: {mdev: {parent: mtty, type: mtty-1}}}")
    first, again = (plan(both, a_maker()) for _ in range(2))
    steps = [one for one in first.steps if isinstance(one, MakeMdev)]
    assert [(one.address, one.type) for one in steps] == [(OWN, "mtty-2"), (own_mdev("builder", "other"), "mtty-1")]
    assert first.steps == again.steps
    assert own_mdev("other", "card") != OWN
    said = MADE.replace("parent:", f"uuid: {SERIAL}, parent:")
    assert step(plan(said, a_maker()), MakeMdev).address == Mdev(SERIAL)


def test_one_that_is_there_is_taken_as_it_is_and_left() -> None:
    there = MediatedDevice(OWN, "mtty-2", "Dual port serial", "vfio-pci", "mtty", "mtty", None, 72, "vfio2")
    made = plan(MADE, a_maker(mediated=(there,)))
    assert step(made, MakeMdev) is None
    assert (step(made, OpenGroups).groups, step(made, OpenGroups).made) == ((72,), ())
    (said,) = plan(MADE, a_maker(mediated=(replace(there, type="mtty-1"),))).diagnostics
    assert (said.code, said.message) == ("E265", f"card: {OWN} is there already, as mtty-1 of mtty")


@pytest.mark.parametrize(
    ("parent", "kind", "code", "said"),
    [
        ("mtti", "mtty-2", "E262", "card: nothing called mtti makes mediated devices on this host"),
        ("mtty", "mtty-3", "E263", "card: mtty makes no mtty-3"),
        ("41:00.0", "nvidia-63", "E264", "card: 0000:41:00.0 has 0 left of nvidia-63"),
    ],
)
def test_what_cannot_be_made_is_named_with_what_can(parent: str, kind: str, code: str, said: str) -> None:
    made = plan(MADE.replace("parent: mtty, type: mtty-2", f"parent: {parent}, type: {kind}"), a_maker())
    (found,) = made.diagnostics
    assert (found.code, found.message) == (code, said)
    told = " ".join((*found.evidence, *found.help))
    assert {"E262": "did you mean `mtty`?", "E263": "mtty-2", "E264": "remove what nobody has"}[code] in told


def test_of_a_type_there_are_as_many_as_the_driver_says_or_it_does_not_say() -> None:
    both = MADE.replace("}}}", "}}, other: {mdev: {parent: mtty, type: mtty-2}}}")
    one_left = (MediatedParent("mtty", (replace(KINDS[1], available=1),)),)
    (said,) = plan(both, replace(a_maker(), mediated_parents=one_left)).diagnostics
    assert (said.code, said.message) == ("E264", "card and other: mtty has 1 left of mtty-2")
    unknown = (MediatedParent("mtty", (replace(KINDS[1], available=None),)),)
    assert codes(plan(both, replace(a_maker(), mediated_parents=unknown))) == []
    channel = (MediatedParent("mtty", (replace(KINDS[1], api="vfio-ccw"),)),)
    assert codes(plan(MADE, replace(a_maker(), mediated_parents=channel))) == ["E261"]


def test_what_one_vm_makes_another_beside_it_cannot_make_any_more() -> None:
    alone = replace(a_maker(), mediated_parents=(MediatedParent("mtty", (replace(KINDS[1], available=1), KINDS[0])),))
    left = beside(alone, plan(MADE, alone).steps)
    (said,) = plan(MADE.replace("builder", "other"), left).diagnostics
    assert (said.code, said.message) == ("E264", "card: mtty has 0 left of mtty-2")
    assert codes(plan(MADE.replace("builder", "other").replace("mtty-2", "mtty-1"), left)) == []


def test_only_root_makes_them_and_whoever_else_is_told_how() -> None:
    process = replace(host("gpu07").process, uid=1000, capabilities=())
    (said,) = [one for one in plan(MADE, a_maker(process=process)).diagnostics if one.code == "E228"]
    assert "only root may make mediated devices" in said.message
    assert f"echo {OWN} > /sys/class/mdev_bus/mtty/mdev_supported_types/mtty-2/create" in said.help[1]


def test_a_saved_plan_assumes_that_it_is_not_there_and_can_be_made() -> None:
    made = plan(MADE, a_maker())
    facts = {one.fact: one for one in made.assumes}
    kind = "mediated_parents[mtty].types[mtty-2]"
    assert facts[f"mediated[{OWN}]"].equals is None
    assert facts[f"{kind}.api"].equals == "vfio-pci"
    assert facts[f"{kind}.available"].at_least == 1


def test_a_plan_that_was_edited_makes_what_it_opens_and_nothing_else() -> None:
    made = plan(MADE, a_maker())
    other = Mdev(OTHER)
    for change in (
        lambda one: () if isinstance(one, MakeMdev) else (one,),
        lambda one: (one, one) if isinstance(one, MakeMdev) else (one,),
        lambda one: (replace(one, address=other),) if isinstance(one, MakeMdev) else (one,),
        lambda one: (replace(one, made=()),) if isinstance(one, OpenGroups) else (one,),
        lambda one: (replace(one, made=(OWN, other)),) if isinstance(one, OpenGroups) else (one,),
    ):
        edited = tuple(each for one in made.steps for each in change(one))
        with pytest.raises(Refused, match="not whole"):
            check_whole(replace(made, steps=edited))
    with pytest.raises(ValueError, match="not a device"):
        MakeMdev(OWN, "../../x", "mtty-2")


@pytest.mark.parametrize(
    ("parent", "only", "expected"),
    [
        ("0000:81:00.0", "0000:81:00.0", []),
        ("0000:81:00.0", "0000:02:00.0", ["E247"]),
        ("mtty", "0000:81:00.0", ["E247"]),
        ("mtty", "", []),
    ],
)
def test_who_was_given_a_device_was_given_what_is_made_of_it(parent: str, only: str, expected: list[str]) -> None:
    parents = (MediatedParent(parent, KINDS),)
    text = MADE.replace("parent: mtty", f"parent: {parent}")
    made = plan(text, replace(a_maker(), mediated_parents=parents), only=only)
    assert codes(made) == expected
    there = replace(DEVICES[0], parent=parent)
    assert codes(plan(ONE, replace(host("gpu07"), mediated=(there,)), only=only)) == expected


SAME = tuple(
    MediatedDevice(Mdev(uuid), "nvidia-63", "GRID T4-1Q", "vfio-pci", "0000:41:00.0", "nvidia", 1, group, vfio)
    for uuid, group, vfio in ((SERIAL, 80, "vfio3"), (DISPLAY, 81, "vfio4"), (OTHER, 82, "vfio5"))
)
ANY = f"{SMALL}devices: {{card: {{mdev: {{type: nvidia-63}}}}}}\n"


def of_one_type(*held: str) -> HostFacts:
    """With processes of somebody's that have these nodes open."""
    nodes = tuple(DeviceNode(path, 0o600, 0, 0, True, holders=(Holder(7, "qemu"),)) for path in held)
    found = host("gpu07")
    return replace(found, mediated=SAME, device_nodes=(*(found.device_nodes or ()), *nodes))


@pytest.mark.parametrize(
    ("held", "only", "expected"),
    [
        ((), "", SERIAL),
        (("/dev/vfio/80",), "", DISPLAY),
        (("/dev/vfio/devices/vfio3",), "", DISPLAY),
        ((), f"{OTHER},{DISPLAY}", DISPLAY),
        ((), f"0000:02:00.0,{OTHER.upper()}", OTHER),
    ],
)
def test_a_type_is_the_first_that_nobody_has_of_those_given(held: tuple[str, ...], only: str, expected: str) -> None:
    made = plan(ANY, of_one_type(*held), only=only)
    assert codes(made) == []
    (card,) = step(made, OpenDevices).devices
    assert card.address == Mdev(expected)
    again = plan_from_json(json.loads(json.dumps(plan_to_json(made))))
    assert (again.only, again.steps) == (made.only, made.steps)


def test_two_of_a_type_are_two_and_neither_is_one_that_is_named() -> None:
    text = ANY.replace("}}}", f"}}}}, other: {{mdev: {{type: nvidia-63}}}}, named: {{mdev: {SERIAL}}}}}")
    made = step(plan(text, of_one_type()), OpenDevices).devices
    assert {one.alias: str(one.address) for one in made} == {"card": DISPLAY, "other": OTHER, "named": SERIAL}


def test_one_that_another_alias_would_make_is_that_alias_s_where_it_is_there_already() -> None:
    """What was made for it stays when its keeper was killed."""
    text = f"{SMALL}name: builder\ndevices: {{any: {{mdev: {{type: mtty-2}}}}, {MADE.partition('devices: {')[2]}"
    mine = MediatedDevice(OWN, "mtty-2", "Dual port serial", "vfio-pci", "mtty", "mtty", None, 72, "vfio2")
    assert codes(plan(text, a_maker(mediated=(mine,)))) == ["E260"]
    made = step(plan(text, a_maker(mediated=(mine, DEVICES[0]))), OpenDevices).devices
    assert {one.alias: one.address for one in made} == {"any": Mdev(SERIAL), "card": OWN}


@pytest.mark.parametrize(
    ("text", "only", "said"),
    [
        (ANY.replace("nvidia-63", "nvidia-36"), "", "has no mediated device of type nvidia-36"),
        (ANY, "0000:02:00.0", "no nvidia-63 is given"),
        (ANY.replace("}}}", "}}, two: {mdev: {type: nvidia-63}}}"), SERIAL, "of those that are given, is taken"),
    ],
)
def test_of_a_type_that_has_none_left_it_is_told_why(text: str, only: str, said: str) -> None:
    made = plan(text, of_one_type(), only=only)
    assert codes(made) == ["E260"]
    assert said in made.diagnostics[0].message


@pytest.mark.parametrize(
    ("only", "expected"), [(SERIAL, []), (DISPLAY, ["E247"]), (f"{SERIAL},{own_mdev('vm', 'else')}", ["E248"])]
)
def test_a_mediated_device_is_given_by_its_uuid(only: str, expected: list[str]) -> None:
    assert codes(plan(ONE, a_host(), only=only)) == expected
    made = plan(MADE, a_maker(), only=str(OWN))
    assert (codes(made), made.only) == ([], (OWN,))


@pytest.mark.parametrize(
    ("parent", "devices", "said"),
    [
        (
            "0000:02:00.0",
            "disk: PARENT\n  card: {mdev: {parent: PARENT, type: mtty-2}}",
            "the device or card, not both",
        ),
        ("0000:02:00.0", f"disk: PARENT\n  card: {{mdev: {SERIAL}}}", "the device or card, not both"),
        ("0000:02:00.0", "disk: PARENT", "or take another device"),
        (
            "0000:c1:00.1",
            "gpu: {pci: 0000:c1:00.0, companions: detach}\n  card: {mdev: {parent: PARENT, type: mtty-2}}",
            "the device or card, not both",
        ),
    ],
)
def test_what_is_made_of_a_device_is_not_there_when_its_driver_has_gone(parent: str, devices: str, said: str) -> None:
    there = () if "type" in devices else (replace(DEVICES[0], parent=parent),)
    facts = replace(host("gpu07"), mediated=there, mediated_parents=(MediatedParent(parent, KINDS),))
    made = plan(f"{SMALL}devices:\n  {devices.replace('PARENT', parent)}\n", facts)
    (found,) = [one for one in made.diagnostics if one.severity == "error"]
    assert (found.code, found.help[-1].endswith(said)) == ("E266", True)
    assert parent in found.message


def test_a_device_that_vfio_has_already_makes_none() -> None:
    """Or that is another's parent."""
    there = (replace(DEVICES[0], parent="0000:81:00.0"),)
    text = f"{SMALL}devices: {{disk: 0000:02:00.0, gpu: {{pci: 0000:e1:00.0, bind: never, companions: attach}}}}\n"
    assert "E266" not in codes(plan(text, replace(host("gpu07"), mediated=there)))
