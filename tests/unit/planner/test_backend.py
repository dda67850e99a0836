"""Which of the kernel's two ways a plan takes, and what its steps are then."""

from __future__ import annotations

from typing import Any

import pytest

from launcher.errors import Refused
from launcher.host.facts import DeviceNode, HostFacts
from launcher.plan.codec import groups_in, plan_from_json, plan_to_json
from launcher.plan.steps import LoadModules, Member, OpenDevices, OpenGroups, OpenIommufd
from launcher.plan.whole import check_whole
from launcher.planner.choose_backend import usual_backend
from launcher.record import replace
from launcher.values import Missing, PciAddress
from tests.catalogue.row import with_function, with_linux, with_process
from tests.planning import host, plan

BOTH = {"VFIO_PCI": "m", "VFIO_GROUP": "y", "VFIO_CONTAINER": "y", "IOMMUFD": "m", "VFIO_DEVICE_CDEV": "y"}
IN_ITS_PLACE = {name: value for name, value in BOTH.items() if name != "VFIO_CONTAINER"}
COMPATIBLE = IN_ITS_PLACE | {"IOMMUFD_VFIO_CONTAINER": "y"}
LOADED = ("iommufd", "vfio", "vfio_iommu_type1", "vfio_pci")
ONE = "boot: {kernel: ./bzImage}\ncpus: 2\nmemory: 1GiB\ndevices: {gpu: 0000:e1:00.0}\n"


def a_host(config: Any, *nodes: str, usable: bool = True, **linux: Any) -> HostFacts:
    facts = with_linux(host("gpu07"), config=config, **{"modules": LOADED} | linux)
    return replace(facts, device_nodes=tuple(DeviceNode(path, 0o600, 0, 0, usable=usable) for path in nodes))


def a_user(facts: HostFacts) -> HostFacts:
    return with_process(facts, uid=1000, capabilities=())


TYPE1, IOMMUFD = "/dev/vfio/vfio", "/dev/iommu"
NOT_READ = Missing("absent", "/boot/config")


@pytest.mark.parametrize(
    ("facts", "backend"),
    [
        (a_host(BOTH, TYPE1, IOMMUFD), "type1"),
        (a_host(NOT_READ, TYPE1, IOMMUFD), "type1"),
        (a_host(NOT_READ, IOMMUFD), "iommufd"),  # what a container was given
        (a_user(a_host(BOTH, IOMMUFD)), "iommufd"),
        (a_user(a_host(BOTH, TYPE1)), "type1"),
        (a_user(a_host(BOTH)), "type1"),  # neither, and what it takes is said of the usual way
        (a_host(IN_ITS_PLACE, IOMMUFD), "iommufd"),
        (a_host(COMPATIBLE, TYPE1, IOMMUFD), "iommufd"),
        (a_host(COMPATIBLE, TYPE1, IOMMUFD, usable=False), "type1"),
        (a_host(IN_ITS_PLACE, modules=("vfio",), loadable=LOADED), "iommufd"),  # root loads it
        (a_user(a_host(IN_ITS_PLACE, modules=("vfio",), loadable=LOADED)), "type1"),
        (a_host({"VFIO_PCI": "m"}), "type1"),
    ],
)
def test_type1_is_taken_where_it_is_there(facts: HostFacts, backend: str) -> None:
    assert usual_backend(facts) == backend


def test_who_was_given_the_nodes_of_devices_and_not_those_of_groups_takes_them() -> None:
    ready = with_function(a_user(a_host(BOTH)), "0000:e1:00.0", vfio="vfio3")
    mine = {TYPE1: True, IOMMUFD: True, "/dev/vfio/77": False, "/dev/vfio/devices/vfio3": True}
    for changed, backend in ((mine, "VFIO iommufd"), (mine | {"/dev/vfio/77": True}, "VFIO type1")):
        nodes = tuple(DeviceNode(path, 0o600, 0, 0, usable=usable) for path, usable in changed.items())
        made = plan(ONE, replace(ready, device_nodes=nodes))
        assert made.host.backend == backend
        assert "E228" not in {one.code for one in made.diagnostics}


def contained(facts: HostFacts) -> tuple[str, str, tuple[str, ...]]:
    """Code, sentence and ways out of the one thing there is to say of a container."""
    made = plan(f"{ONE}vfio: iommufd\n", with_process(facts, container=True))
    (one,) = (one for one in made.diagnostics if one.code in ("E228", "W220"))
    return one.code, one.message, one.help


def test_what_a_container_may_keep_back_is_a_devices_own_node_though_it_has_none_yet() -> None:
    unbound = a_host(BOTH, TYPE1, IOMMUFD)
    code, said, ways = contained(unbound)
    assert (code, "may keep the own node of 0000:e1:00.0 from it" in said) == ("W220", True)
    assert "nodes made later are not in it" in ways[0]
    own = "/dev/vfio/devices/vfio3"
    ready = with_function(a_host(BOTH, TYPE1, IOMMUFD, own), "0000:e1:00.0", driver="vfio-pci", vfio="vfio3")
    code, said, ways = contained(ready)
    assert (code, f"may keep {own} from it" in said) == ("W220", True)
    assert ways[1:] == (
        f"for docker and podman: `--device /dev/iommu --device {own} --device /dev/kvm`",
        "for a systemd service: `DeviceAllow=char-vfio-dev rw`, `DeviceAllow=/dev/iommu rw`",
    )
    without = replace(ready, device_nodes=tuple(one for one in ready.device_nodes or () if one.path != own))
    assert contained(without)[:2] == ("E228", f"gpu: {own} is not in this container")


@pytest.mark.parametrize(("way", "control"), [("type1", TYPE1), ("iommufd", IOMMUFD)])
def test_a_container_that_was_not_given_what_all_devices_need_is_told_so(way: str, control: str) -> None:
    """The host has it, as its module shows; whether it is to load that first is another matter (E224)."""
    paths = ("/dev/vfio/77", "/dev/vfio/devices/vfio3")
    facts = with_function(a_host(BOTH, *paths), "0000:e1:00.0", driver="vfio-pci", vfio="vfio3")
    for changed, code in ((facts, "E228"), (with_linux(facts, modules=("vfio", "vfio_pci")), "E224")):
        made = plan(f"{ONE}vfio: {way}\n", with_process(changed, container=True, capabilities=()))
        found = {one.code: one.message for one in made.diagnostics if one.code in ("E224", "E228")}
        assert found.keys() == {code}
        assert code != "E228" or found[code] == f"gpu: {control} is not in this container"


def test_a_plan_by_iommufd_has_steps_of_its_own() -> None:
    made = plan(f"{ONE}vfio: iommufd\n", a_host(BOTH, TYPE1, IOMMUFD))
    assert made.host.backend == "VFIO iommufd"
    assert not [step for step in made.steps if isinstance(step, OpenGroups)]
    (opened,) = [step for step in made.steps if isinstance(step, OpenIommufd)]
    assert opened == OpenIommufd((Member(PciAddress.parse("0000:e1:00.0"), 77),), "user")
    assert opened.describe() == "open 1 device of group 77 by iommufd, in one address space"
    check_whole(made)
    saved = plan_to_json(made)
    assert plan_from_json(saved).steps == made.steps
    assert list(groups_in(saved)) == [77]


def test_what_it_opens_is_what_the_guest_gets() -> None:
    made = plan(f"{ONE}vfio: iommufd\n", a_host(BOTH, TYPE1, IOMMUFD))
    for change in (
        lambda step: replace(step, functions=()),
        lambda step: replace(step, functions=(Member(PciAddress.parse("0000:02:00.0"), 77),)),
    ):
        edited = (change(step) if isinstance(step, OpenIommufd) else step for step in made.steps)
        with pytest.raises(Exception, match="not whole"):
            check_whole(replace(made, steps=tuple(edited)))
    twice = (
        one for step in made.steps for one in ((step, OpenGroups((77,))) if isinstance(step, OpenIommufd) else (step,))
    )
    with pytest.raises(Exception, match="not whole"):
        check_whole(replace(made, steps=tuple(twice)))


@pytest.mark.parametrize("way", ["type1", "iommufd"])
def test_a_function_is_opened_once_as_a_member_of_one_group_and_by_one_way(way: str) -> None:
    """A plan that somebody edited: the function twice, of another group, and the group twice."""
    made = plan(f"{ONE}vfio: {way}\n", a_host(BOTH, TYPE1, IOMMUFD))
    (device,) = (one for step in made.steps if isinstance(step, OpenDevices) for one in step.devices)
    member = Member(device.address, device.group)
    twice = replace(device, alias="again", guest=PciAddress.parse("0000:00:1f.0"))
    edits: dict[type, Any] = {
        OpenDevices: ({"devices": (device, twice)}, {"devices": (replace(device, group=78),)}),
        OpenIommufd: ({"functions": (member, member)}, {"functions": (Member(device.address, 78),)}),
        OpenGroups: ({"groups": (77, 77)}, {"groups": (78,)}),
    }
    kinds = {type(step) for step in made.steps} & edits.keys()
    assert kinds == {OpenDevices, OpenIommufd if way == "iommufd" else OpenGroups}
    for kind in kinds:
        for change in edits[kind]:
            steps = (replace(step, **change) if isinstance(step, kind) else step for step in made.steps)
            with pytest.raises(Refused, match="not whole"):
                check_whole(replace(made, steps=tuple(steps)))


def test_its_module_is_loaded_and_type1s_is_not() -> None:
    absent = a_host(BOTH, modules=("kvm",), loadable=LOADED)
    for way, module in (("iommufd", "iommufd"), ("type1", "vfio_iommu_type1")):
        made = plan(f"{ONE}vfio: {way}\n", absent)
        assert [step.modules for step in made.steps if isinstance(step, LoadModules)] == [("vfio_pci", module)]


def test_who_may_exceed_limits_has_it_counted_for_the_process() -> None:
    for capabilities, locks in (
        ((), "user"),
        (("cap_ipc_lock", "cap_sys_resource"), "user"),
        (("cap_sys_resource",), "process"),
    ):
        facts = with_process(a_host(BOTH, TYPE1, IOMMUFD), capabilities=capabilities)
        made = plan(f"{ONE}vfio: iommufd\n", facts)
        assert [step.locks for step in made.steps if isinstance(step, OpenIommufd)] == [locks]
        assert [step.devices[0].group for step in made.steps if isinstance(step, OpenDevices)] == [77]
