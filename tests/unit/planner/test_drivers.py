"""Devices that the host has in use, shares, or has split up: what the plan makes of them, beside the catalogue."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.host.facts import Config, DeviceNode, Holder, HostFacts, Sriov, Use, UseKind
from launcher.plan.steps import BindDriver, StaysBound
from launcher.planner.decided import Seat
from launcher.planner.rules.ending import ending, stopping
from launcher.planner.rules.virtual_functions import virtual_address
from launcher.planner.slots import guest_addresses
from launcher.planner.uses import is_hard
from launcher.record import replace
from launcher.typed import get_args
from launcher.values import PciAddress
from tests.catalogue.driver_hosts import DISK, GPU, NIC, SOUND, board, function, plus, sriov, vmd
from tests.catalogue.drivers import spec
from tests.catalogue.row import with_function
from tests.planning import codes, host, plan

KINDS: tuple[UseKind, ...] = get_args(UseKind)
HARD = ("mounted", "swap", "holder", "member")


@pytest.fixture
def gpu07() -> HostFacts:
    return host("gpu07")


def only(made, code: str):
    (found,) = [one for one in made.diagnostics if one.code == code]
    return found


def used(facts: HostFacts, address: str, *kinds: UseKind, **fields: object) -> HostFacts:
    return with_function(facts, address, uses=tuple(Use(kind, f"a {kind}", "x0") for kind in kinds), **fields)


# ---- in use ----


@pytest.mark.parametrize("kind", KINDS)
def test_allow_lifts_every_use_by_which_no_data_is_lost_and_no_other(gpu07, kind):
    facts, willing = used(gpu07, DISK, kind), spec(f"disk: {{pci: {DISK}, allow: [in-use]}}")
    hard = kind in HARD
    assert is_hard(Use(kind, "")) == hard
    assert codes(plan(spec(f"disk: {DISK}"), facts)) == ["E230" if hard else "E231"]
    assert codes(plan(willing, facts)) == (["E230"] if hard else ["W241"])


@pytest.mark.parametrize("fields", [{"driver": "vfio-pci"}, {"driver": "mlx5_vfio_pci"}, {"vfio": "vfio0"}])
def test_what_vfio_has_already_is_taken_from_nobody(gpu07, fields):
    made = plan(spec(f"disk: {DISK}"), used(gpu07, DISK, "mounted", "process", **fields))
    assert codes(made) == []
    assert any(isinstance(step, StaysBound) for step in made.steps)


@pytest.mark.parametrize("way", ["attach", "detach"])
def test_a_companion_is_taken_by_the_consent_of_the_device_it_comes_with(gpu07, way):
    facts = used(gpu07, SOUND, "process", driver="xhci_hcd")
    found = only(plan(spec(f"gpu: {{pci: {GPU}, companions: {way}}}"), facts), "E231")
    assert (found.message.split(",")[0], found.where.path) == (f"gpu: {SOUND}", "devices.gpu.companions")
    assert "E231" not in codes(plan(spec(f"gpu: {{pci: {GPU}, companions: {way}, allow: [in-use]}}"), facts))


def test_a_word_of_consent_is_added_to_those_that_are_there(gpu07):
    made = plan(spec(f"disk: {{pci: {DISK}, allow: [no-reset]}}"), used(gpu07, DISK, "interface"))
    assert only(made, "E231").help[-1].endswith("write `allow: [no-reset, in-use=x0]`")


def test_commands_name_what_is_used_and_quote_what_a_shell_would_split():
    assert ending([Use("mounted", "sda1 on /my data", "/my data")]) == ("unmount it first: `umount '/my data'`",)
    two = [Use("interface", "", "eth0"), Use("interface", "", "eth1")]
    assert ending(two) == ("take the interface down first: `ip link set eth0 down; ip link set eth1 down`",)
    assert all("``" not in line for kind in KINDS for line in ending([Use(kind, "")]))


def test_services_are_stopped_and_other_processes_asked_to_go():
    uses = [Use("process", "", name, pid) for name, pid in (("Xorg", 1), ("python3", 7), ("python3", 7), ("cat", 9))]
    assert stopping(uses) == "systemctl stop display-manager; kill 7 9"
    assert stopping([Use("process", "somebody")]) == ""


def test_a_process_of_a_service_is_stopped_with_it_by_whose_manager_it_is():
    uses = [
        Use("process", "", "ollama", 7, "ollama.service"),
        Use("process", "", "nvidia-persiste", 3, "nvidia-persistenced.service"),
        Use("process", "", "pipewire", 8, "1000:pipewire.service"),
        Use("process", "", "python3", 9),
    ]
    system = "systemctl stop ollama.service nvidia-persistenced"
    user = "systemctl --user -M 1000@.host stop pipewire.socket pipewire.service"
    assert stopping(uses) == f"{system}; {user}; kill 9"


def test_nvidia_without_a_view_of_other_peoples_processes_is_not_known_to_be_free(gpu07):
    blind = replace(gpu07, process=replace(gpu07.process, sees_all=False))
    text = spec(f"gpu: {{pci: {GPU}, companions: attach}}")
    assert "W216" in codes(plan(text, blind))
    for address, driver in ((GPU, "nouveau"), (SOUND, None)):
        blind = with_function(blind, address, driver=driver)
    assert "W216" not in codes(plan(text, blind))


def test_a_drive_behind_a_vmd_controller_keeps_the_controller(gpu07):
    mounted = with_function(vmd("0000:00:0e.0"), "10000:e1:00.0", uses=(Use("mounted", "nvme0n1p2 on /", "/"),))
    made = plan(spec("raid: 0000:00:0e.0"), mounted)
    assert only(made, "E230").help == ("take another device",)
    assert not any(str(step.address).startswith("10000") for step in made.steps if isinstance(step, BindDriver))


# ---- storage with more than one way to it ----

OTHER_DISK = "0000:81:00.0"
PATHS = [Use("path", f"{name} is a path to dm-0 (mpatha), as is another", "dm-0") for name in ("sda", "sdb")]


def with_paths(facts: HostFacts) -> HostFacts:
    return with_function(with_function(facts, DISK, uses=(PATHS[0],)), OTHER_DISK, uses=(PATHS[1],))


def test_one_path_is_given_with_consent_and_the_last_is_not(gpu07):
    facts = with_paths(gpu07)
    assert "multipath -ll dm-0" in only(plan(spec(f"disk: {DISK}"), facts), "E231").help[0]
    one, other = (f"{{pci: {address}, allow: [in-use]}}" for address in (DISK, OTHER_DISK))
    assert codes(plan(spec(f"disk: {one}"), facts)) == ["W241"]
    assert codes(plan(spec(f"one: {one}", f"other: {other}"), facts)) == ["E230", "E230"]


def vf_of_a_drive(*uses: Use, of_physical: tuple[Use, ...] = ()) -> HostFacts:
    """The first virtual function of the card, as if both were of a drive."""
    facts = with_function(sriov()(), NIC, uses=of_physical, interfaces=())
    return with_function(facts, "0000:3b:01.0", uses=uses, driver="nvme", interfaces=())


def test_a_virtual_function_that_the_hosts_driver_took_says_how_to_keep_it_off():
    mine = Use("mounted", "nvme0n2 on /data", "/data")
    found = only(plan(spec("disk: 0000:3b:01.0"), vf_of_a_drive(mine)), "E230")
    assert f"`echo 0 > /sys/bus/pci/devices/{NIC}/sriov_drivers_autoprobe`" in found.help[1]
    assert "detach-ns" not in found.help[1]
    root = Use("mounted", "nvme0n1p2 on /", "/")
    shared = only(plan(spec("disk: 0000:3b:01.0"), vf_of_a_drive(root, of_physical=(root,))), "E230")
    assert shared.help[0].startswith("detach that namespace from the virtual function")
    assert "autoprobe" in shared.help[0]


# ---- groups ----


@pytest.mark.parametrize(
    ("driver", "class_code", "kernel", "viable"),
    [
        (None, "040300", "6.1.0", True),
        ("vfio-pci", "040300", "6.1.0", True),
        ("xe-vfio-pci", "040300", "6.1.0", True),
        ("pci-stub", "040300", "6.1.0", True),
        ("snd_hda_intel", "040300", "6.1.0", False),
        ("snd_hda_intel", "040300", "5.10.0", False),
        ("pcieport", "060400", "6.1.0", True),
        ("shpchp", "060400", "6.1.0", False),
        ("shpchp", "060400", "5.19.0", False),
        ("shpchp", "060400", "5.18.0", True),
        ("lpc_ich", "060100", "5.18.0", False),
        ("lpc_ich", "060100", "6.1.0", False),
        ("vfio_pci", "040300", "6.1.0", False),
    ],
)
def test_a_group_is_viable_as_the_kernel_sees_it(gpu07, driver, class_code, kernel, viable):
    facts = replace(with_function(gpu07, SOUND, driver=driver, class_code=class_code), kernel=kernel)
    assert ("E203" not in codes(plan(spec(f"gpu: {GPU}"), facts))) == viable


def test_before_5_19_the_header_and_not_the_class_makes_a_bridge(gpu07):
    odd = replace(with_function(gpu07, SOUND, config=Config(header=1)), kernel="5.15.0")
    assert "E203" not in codes(plan(spec(f"gpu: {GPU}"), odd))
    dead = replace(with_function(gpu07, SOUND, config=Config(header=127, dead=True)), kernel="5.15.0")
    assert "E203" in codes(plan(spec(f"gpu: {GPU}"), dead))


def test_what_the_host_cannot_spare_is_not_offered_as_a_companion():
    facts = board(Use("mounted", "sda2 on /", "/"))()
    (help_,) = only(plan(spec("lan: 0000:00:1f.6"), facts), "E203").help
    assert "companions" not in help_


def test_what_comes_with_a_device_and_is_in_use_is_accepted_by_one_list(gpu07):
    """Each could say its own, and a key can be in a spec once."""
    facts = used(used(gpu07, GPU, "process"), SOUND, "interface")
    facts = with_function(with_function(facts, GPU, driver="amdgpu"), SOUND, driver="other")
    text = spec(f"gpu: {{pci: {GPU}, companions: attach}}")
    told = [one for one in plan(text, facts).diagnostics if one.code == "E231"]
    ways = {one.help[-1] for one in told}
    assert len(told) == 2
    assert len(ways) == 1
    allow = re.findall(r"`(allow: .*)`", ways.pop())[0]
    assert "E231" not in codes(plan(spec(f"gpu: {{pci: {GPU}, companions: attach, {allow}}}"), facts))


def test_three_that_hold_a_group_are_listed_as_people_do(gpu07):
    group = next(one.group for one in gpu07.pci if str(one.address) == GPU)
    facts = with_function(with_function(gpu07, DISK, group=group), NIC, group=group)
    groups = tuple(
        replace(one, devices=(*one.devices, *map(PciAddress.parse, (DISK, NIC)))) if one.number == group else one
        for one in facts.groups
    )
    message = only(plan(spec(f"gpu: {GPU}"), replace(facts, groups=groups)), "E203").message
    assert message.endswith(f"the host still holds {SOUND}, {DISK} and {NIC}")


# ---- finding a device ----


def test_free_is_what_no_host_uses_and_no_alias_means_wherever_it_stands_in_the_file(gpu07):
    vfs = tuple(f"0000:3b:01.{n}" for n in range(4))
    for address in vfs:
        gpu07 = with_function(gpu07, address, driver=None)
    text = spec("any: {match: {id: 15b3:101e}, pick: free}", f"nic: {{pci: {NIC}, vf: 0}}")
    assert [str(one.host) for one in plan(text, gpu07).devices] == ["0000:3b:01.1", "0000:3b:01.0"]
    busy = used(gpu07, "0000:3b:01.1", "process")
    assert [str(one.host) for one in plan(text, busy).devices] == ["0000:3b:01.2", "0000:3b:01.0"]
    opened = replace(gpu07, device_nodes=(DeviceNode("/dev/vfio/35", 0o600, 0, 0, True, (Holder(7, "qemu"),)),))
    assert [str(one.host) for one in plan(text, opened).devices] == ["0000:3b:01.2", "0000:3b:01.0"]


def test_who_has_the_devices_that_are_not_free_is_told(gpu07):
    made = plan(spec(f"a: {GPU}", "b: {match: {class: gpu, slot: '6'}, pick: free}"), gpu07)
    assert only(made, "E206").evidence[0].endswith("nvidia has it for the host")


@pytest.mark.parametrize(("given", "first"), [("81:00.1", "0000:81:00.0"), ("0001:02:00.0", DISK)])
def test_a_wrong_address_is_answered_with_those_that_look_like_it(gpu07, given, first):
    found = only(plan(spec(f"disk: {given}"), gpu07), "E201")
    assert found.evidence[1].startswith(first)
    assert len(found.evidence) <= 5


def test_an_address_that_is_not_there_names_the_place_of_what_is_expected(gpu07):
    found = only(plan(spec("disk: {pci: 0000:05:00.0, expect: 144d:a809}"), gpu07), "E201")
    assert found.help == ("144d:a809 is at 0000:02:00.0: write `pci: 0000:02:00.0`",)


def test_one_that_went_while_the_host_was_looked_at_is_told_so(gpu07):
    """Not that it has no IOMMU group and no reset, as what was left of it had not."""
    gone = next(one.address for one in gpu07.pci if str(one.address) == DISK)
    facts = replace(gpu07, pci=tuple(one for one in gpu07.pci if one.address != gone), gone=(gone,))
    found = only(plan(spec(f"disk: {DISK}"), facts), "E201")
    assert found.message.startswith(f"disk: {DISK} has gone")
    assert not {"E208", "E216"} & set(codes(plan(spec(f"disk: {DISK}"), facts)))
    (line,) = only(plan(spec("disk: {match: {id: 144d:a809}}"), facts), "E204").evidence
    assert " ".join(line.split()) == f"{DISK} has gone while this host was looked at"


def test_several_of_the_expected_kind_are_listed(gpu07):
    found = only(plan(spec(f"gpu: {{pci: {DISK}, expect: 10de:2684}}"), gpu07), "E202")
    assert [line.split()[0] for line in found.evidence] == [GPU, "0000:e1:00.0"]


def test_a_bridge_names_the_endpoints_behind_all_its_buses(gpu07):
    upper = PciAddress.parse("0000:00:01.1")
    switch = function("0000:01:00.0", "1000:c010", "060400", "Broadcom switch", group=90, parent=upper)
    facts = with_function(plus(gpu07, switch), DISK, parent=switch.address)
    assert only(plan(spec(f"disk: {upper}"), facts), "E212").evidence[0].startswith(DISK)


# ---- virtual functions ----


@pytest.mark.parametrize(
    ("own", "number", "found"),
    [("0000:3b:00.0", 3, "0000:3b:01.3"), ("0000:3b:00.0", 255, "0000:3c:00.7"), ("0000:3b:1f.7", 0, "0000:3c:00.7")],
)
def test_virtual_functions_follow_by_routing_id_across_buses(own, number, found):
    known = Sriov(256, 0, offset=8, stride=1, autoprobe=False, device=None)
    card = function(own, "15b3:101d", "020000", "card", sriov=known)
    assert str(virtual_address(card, number)) == found


def test_only_the_files_that_need_it_are_written_to_create_virtual_functions():
    card = sriov(0)()
    quiet = next(one for one in card.pci if one.sriov)
    assert quiet.sriov
    facts = with_function(card, NIC, sriov=replace(quiet.sriov, autoprobe=False))
    fix = only(plan(spec(f"nic: {{pci: {NIC}, vf: 3}}"), facts), "E207").fix
    assert fix == f"echo 4 > /sys/bus/pci/devices/{NIC}/sriov_numvfs"


def test_a_virtual_function_of_a_virtual_function_and_of_a_disk(gpu07):
    assert "virtual function itself" in only(plan(spec("a: {pci: 0000:3b:01.0, vf: 0}"), gpu07), "E235").message
    assert "no SR-IOV" in only(plan(spec(f"a: {{pci: {DISK}, vf: 0}}"), gpu07), "E235").message


# ---- guest addresses ----


def test_naming_a_companion_at_the_end_moves_no_device_between(gpu07):
    facts = with_function(gpu07, "0000:81:00.0", group=14)
    facts = plus(facts)
    text = spec(f"disk: {{pci: {DISK}, companions: attach}}", f"gpu: {GPU}")
    before = [str(one.guest) for one in plan(text, facts).devices]
    after = [str(one.guest) for one in plan(text + "  scratch: 0000:81:00.0\n", facts).devices]
    assert before == ["0000:00:10.0", "0000:00:11.0", "0000:00:12.0"]
    assert after == ["0000:00:10.0", "0000:00:12.0", "0000:00:11.0"]


slots = st.tuples(st.integers(0, 3), st.integers(0, 3))
addresses = st.builds(PciAddress, st.just(0), st.just(0), st.integers(0x10, 0x15), st.integers(0, 7))
wishes = st.none() | addresses


def seat(order: int, place: tuple[int, int], wish: PciAddress | None) -> Seat:
    address = PciAddress(0, 1, *place)
    return Seat(f"d{order // 2}", address, wish, address.slot, address.function)


@given(st.lists(st.tuples(slots, wishes), unique_by=lambda row: row[0], max_size=16), st.integers(0, 8))
def test_a_device_added_at_the_end_moves_no_other_and_none_shares_an_address_unasked(rows, some):
    seats = tuple(seat(order, place, wish) for order, (place, wish) in enumerate(rows))
    before, after = guest_addresses(seats[: some * 2]), guest_addresses(seats)
    assert before == {host_: guest for host_, guest in after.items() if host_ in before}
    unasked = [after[one.host] for one in seats if not one.guest]
    assert len(set(unasked)) == len(unasked)
    for order, one in enumerate(seats):
        earlier = [other.guest for other in seats[:order] if other.guest]
        assert one.guest or after[one.host] not in earlier
