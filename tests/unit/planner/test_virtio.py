"""Disks, NICs, shares and vsock in a spec: where they are in the guest, and the steps that bring what serves them."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest

from launcher.errors import Refused
from launcher.host.facts import HostFacts, Process
from launcher.images.boot_files import BootFiles
from launcher.images.disk_files import Rights
from launcher.plan.plan import Plan
from launcher.plan.step import Step
from launcher.plan.steps import LoadModules, OpenDevices, TakeMemory
from launcher.plan.virtio import (
    AddVirtio,
    ConnectEngine,
    MakeTap,
    OpenTap,
    StartDiskEngine,
    StartShareEngine,
    StartUserNetwork,
    Virtio,
)
from launcher.plan.whole import check_whole
from launcher.planner.virtio import BAR, derived_mac, tap_name
from launcher.record import replace
from launcher.spec.load import load_spec
from launcher.values import Missing, Span
from tests.planning import EXAMPLE, FILES, SMALL, codes, host, plan
from tests.served import ME, NODES, PROGRAMS, START, by_user, folder, image, served, socket, with_disks, with_sockets
from tests.whole_machine import HOST, SPEC, whole_files

Kind = TypeVar("Kind", bound=Step)
BESIDE = """\
disks: {root: ./root.qcow2, data: ./data.img}
nics: {lan: {bridge: br0}, mgmt: {tap: vmtap0}, inet: user}
shares: {work: ./src}
vsock: true
"""
TWO = with_disks(FILES, root=image(), data=image("data.img"))
BOTH = replace(TWO, shares={"work": folder()})


def of(made: Plan, kind: type[Kind]) -> list[Kind]:
    return [step for step in made.steps if isinstance(step, kind)]


def functions(made: Plan) -> dict[str, Virtio]:
    return {one.alias: one for step in of(made, AddVirtio) for one in step.functions}


def beside(text: str = BESIDE, on: HostFacts | None = None, files: BootFiles = BOTH) -> Plan:
    return plan(START + text, on or served(), named(files, START + text))


def named(files: BootFiles, text: str) -> BootFiles:
    """Those of the files that the spec names, as they are read."""
    spec = load_spec(text, "vm.yaml", name="vm").spec
    disks = {alias: one for alias, one in files.disks.items() if alias in spec.disks}
    return replace(
        files, disks=disks, shares={alias: one for alias, one in files.shares.items() if alias in spec.shares}
    )


def slots(made: Plan) -> dict[str, str]:
    return {alias: one.guest.guest for alias, one in functions(made).items()}


def test_slots_go_by_kind_and_file_order() -> None:
    expected = ("root", "data", "lan", "mgmt", "inet", "work", "vsock")
    assert slots(beside()) == {alias: f"00:0{number}.0" for number, alias in enumerate(expected, 1)}
    turned = "vsock: true\nnics: {inet: user}\ndisks: {data: ./data.img, root: ./root.qcow2}\n"
    assert slots(beside(turned)) == {"data": "00:01.0", "root": "00:02.0", "inet": "00:03.0", "vsock": "00:04.0"}


def test_what_is_not_there_yet_moves_nothing() -> None:
    """An image that is made later, an engine that is installed later."""
    whole, without = beside(), beside(files=with_disks(BOTH, root=Missing("absent", "/vms/root.qcow2")))
    assert functions(without) == {
        alias: one for alias, one in functions(whole).items() if alias not in ("root", "data")
    }
    some = beside(on=served(programs={"virtiofsd": PROGRAMS["virtiofsd"]}))
    assert functions(some) == {alias: functions(whole)[alias] for alias in ("lan", "mgmt", "work", "vsock")}


def test_no_passed_device_is_moved_by_them() -> None:
    alone = plan(EXAMPLE.read_text(), HOST, FILES)
    both = plan(EXAMPLE.read_text() + BESIDE, HOST, BOTH)
    assert both.devices == alone.devices
    assert of(both, OpenDevices) == of(alone, OpenDevices)


def test_a_vm_without_them_has_the_plan_that_it_had() -> None:
    made = plan(SMALL, HOST, FILES)
    assert made.steps == plan(SMALL, host("gpu07"), FILES).steps
    assert made.assumes == plan(SMALL, host("gpu07"), FILES).assumes
    assert not any(step.shared for step in of(made, TakeMemory))


def test_bars_are_apart_from_ram_and_from_passed_ones() -> None:
    made = plan(EXAMPLE.read_text() + BESIDE, HOST, BOTH)
    bars = [Span(one.bar, BAR) for one in functions(made).values()]
    passed = [Span(bar.guest, bar.size) for one in made.devices for bar in one.bars if bar.guest and bar.kind != "io"]
    ram = [Span(line.start, line.size) for line in made.memory if line.kind == "ram"]
    taken = [*bars, *passed, *ram]
    assert not any(one.overlaps(other) for number, one in enumerate(taken) for other in taken[:number])
    assert all(one.start % BAR == 0 for one in bars)


def test_memory_is_shared_only_with_engines_that_are_processes() -> None:
    kernel = "nics: {lan: {bridge: br0}, mgmt: {tap: vmtap0}}\nvsock: 42\n"
    assert not any(step.shared for step in of(beside(kernel), TakeMemory))
    for one in ("disks: {root: ./root.qcow2}", "nics: {inet: user}", "shares: {work: ./src}"):
        assert all(step.shared for step in of(beside(one), TakeMemory))


def test_each_owner_of_images_has_an_engine_of_his_own() -> None:
    theirs = image("data.img", rights=Rights("/vms/data.img", ME, 100, 0o600))
    made = beside(files=with_disks(BOTH, root=image(), data=theirs))
    assert [(one.uid, one.gid, [disk.alias for disk in one.disks]) for one in of(made, StartDiskEngine)] == [
        (0, 0, ["root"]),
        (ME, 100, ["data"]),
    ]


def test_engines_of_an_ordinary_users_vm_are_his() -> None:
    made = beside("disks: {root: ./root.qcow2}\nnics: {inet: user}\nshares: {work: ./src}\n", by_user(served()))
    (disks,), (shares,), (network,) = (of(made, kind) for kind in (StartDiskEngine, StartShareEngine, StartUserNetwork))
    assert {(one.uid, one.gid) for one in (disks, shares, network)} == {(ME, ME)}


def test_of_roots_vm_a_share_is_served_as_its_owner_and_a_user_network_as_nobody_else_is() -> None:
    (shares,), (network,) = (of(beside(), kind) for kind in (StartShareEngine, StartUserNetwork))
    assert (shares.uid, shares.kind, shares.identity) == (ME, "rust", "1:99")
    assert network.uid is network.gid is None


def test_a_backing_chain_is_served_whole_and_only_if_it_is() -> None:
    made = plan(SPEC, HOST, whole_files())
    root = of(made, StartDiskEngine)[0].disks[0]
    assert [(one.path, one.format) for one in root.images] == [
        ("/vms/debian.qcow2", "qcow2"),
        ("/vms/base.qcow2", "qcow2"),
    ]
    assert {one.alias for step in of(made, StartDiskEngine) for one in step.disks} == {"root", "data", "cd"}


def test_what_the_spec_says_of_a_disk_reaches_its_engine_and_the_guest() -> None:
    text = "disks: {data: {path: ./data.img, readonly: true, queues: 3}, root: {path: ./root, discard: true}}"
    made = beside(text, files=with_disks(FILES, data=image("data.img"), root=image("root")))
    data, root = of(made, StartDiskEngine)[0].disks
    assert (data.readonly, data.queues, data.discard) == (True, 3, False)
    assert (root.readonly, root.queues, root.discard) == (False, 1, True)
    assert (functions(made)["data"].readonly, functions(made)["data"].queues) == (True, 3)


def test_a_bridge_is_joined_by_a_tap_of_ours_and_a_tap_that_is_there_is_opened() -> None:
    made = plan(SPEC, HOST, whole_files())
    (tap,) = of(made, MakeTap)
    assert (tap.bridge, tap.mtu, tap.tap) == ("br0", 9000, tap_name("vm", "lan"))
    assert functions(made)["lan"].mtu == 9000
    (given,) = of(beside("nics: {mgmt: {tap: vmtap0}}"), OpenTap)
    assert (given.alias, given.tap) == ("mgmt", "vmtap0")
    assert of(beside("nics: {lan: {bridge: br0, mtu: 1400}}"), MakeTap)[0].mtu == 1400


@pytest.mark.parametrize("nic", ["{bridge: vmtap0}", "{tap: br0}", "{bridge: br7}", "{tap: eth0}"])
def test_what_is_no_bridge_or_tap_is_left_out(nic: str) -> None:
    made = beside(f"nics: {{lan: {nic}}}")
    assert functions(made) == {}
    assert not of(made, MakeTap) + of(made, OpenTap)


def test_engines_of_others_are_connected_to() -> None:
    text = "disks: {fast: {socket: /run/spdk.sock, queues: 4}}\nnics: {dpdk: {socket: /run/dpdk.sock}}"
    files = with_sockets(disks_fast=socket("/run/spdk.sock"), nics_dpdk=socket("/run/dpdk.sock"))
    made = beside(text, files=files)
    assert [(one.alias, one.socket) for one in of(made, ConnectEngine)] == [
        ("fast", "/run/spdk.sock"),
        ("dpdk", "/run/dpdk.sock"),
    ]
    assert {one.engine for one in functions(made).values()} == {"vhost-user"}
    assert functions(beside(text, files=with_sockets(disks_fast=socket(kind="other")))) == {}


@pytest.mark.parametrize(
    ("gone", "modules"),
    {
        "/dev/vhost-net": ("vhost_net",),
        "/dev/net/tun": ("tun",),
        "/dev/vhost-vsock": ("vhost_vsock",),
    }.items(),
)
def test_a_module_is_loaded_where_its_node_is_not_there(gone: str, modules: tuple[str, ...]) -> None:
    nodes = tuple(one for one in NODES if one.path != gone)
    (step,) = of(beside(on=served(nodes=nodes)), LoadModules)
    assert step.modules == modules
    assert not of(beside(), LoadModules)
    assert not of(beside(on=by_user(served(nodes=nodes))), LoadModules)
    assert not of(beside(on=served(nodes=nodes, modules=Missing("absent", "/lib/modules"))), LoadModules)


def test_modules_of_vfio_and_of_vhost_are_loaded_by_one_step() -> None:
    facts = replace(HOST, linux=replace(HOST.linux, modules=(), loadable=("vfio_pci", "vfio_iommu_type1")))
    facts = replace(facts, serving=replace(facts.serving, nodes=()) if facts.serving else None)
    (step,) = of(plan(SPEC, facts, whole_files()), LoadModules)
    assert step.modules == ("vfio_pci", "vfio_iommu_type1", "tun", "vhost_net", "vhost_vsock")


def test_names_and_addresses_that_the_spec_leaves_out_stay_and_differ() -> None:
    pairs = [(name, alias) for name in ("vm", "vm2", "a" * 63) for alias in ("lan", "inet", "b" * 63)]
    macs, taps = ({make(*pair) for pair in pairs} for make in (derived_mac, tap_name))
    assert len(macs) == len(taps) == len(pairs)
    assert derived_mac("vm", "lan") == "52:54:00:03:32:97"
    assert all(mac.startswith("52:54:00:") and len(mac) == 17 for mac in macs)
    assert all(tap.startswith("vml-") and len(tap) <= 15 for tap in taps)


def test_a_context_id_is_said_or_follows_from_the_name() -> None:
    assert functions(beside("vsock: 42"))["vsock"].cid == 42
    first, again = (functions(beside("vsock: true"))["vsock"].cid for _ in range(2))
    assert first == again
    assert 3 <= int(first or 0) < 1 << 32
    other = functions(plan(f"name: other\n{START}vsock: true\n", served(), FILES))["vsock"].cid
    assert other != first


def forged(made: Plan, kind: type[Step], **fields: Any) -> Plan:
    return replace(made, steps=tuple(replace(one, **fields) if isinstance(one, kind) else one for one in made.steps))


def without(made: Plan, *kinds: type[Step]) -> Plan:
    return replace(made, steps=tuple(one for one in made.steps if not isinstance(one, kinds)))


def moved(made: Plan, **fields: Any) -> Plan:
    """The first function is another one."""
    (step,) = of(made, AddVirtio)
    return forged(made, AddVirtio, functions=(replace(step.functions[0], **fields), *step.functions[1:]))


def test_a_plan_of_ours_is_whole() -> None:
    check_whole(beside())
    check_whole(plan(SPEC, HOST, whole_files()))
    check_whole(beside("vsock: true"))


EDITED = {
    "an engine is left out": lambda made: without(made, StartDiskEngine),
    "the functions are left out": lambda made: without(made, AddVirtio),
    "memory is not shared": lambda made: forged(made, TakeMemory, shared=False),
    "an engine is there twice": lambda made: replace(
        made, steps=tuple(one for step in made.steps for one in [step] * (1 + isinstance(step, StartUserNetwork)))
    ),
    "a tap for a disk": lambda made: forged(made, OpenTap, alias="root"),
    "a kernel engine for a disk": lambda made: moved(made, engine="vhost-net"),
    "a disk that is a NIC": lambda made: moved(made, kind="net"),
    "a slot of the passed devices": lambda made: moved(
        made, guest=replace(of(made, AddVirtio)[0].functions[0].guest, device=0x10)
    ),
    "the slot of the host bridge": lambda made: moved(
        made, guest=replace(of(made, AddVirtio)[0].functions[0].guest, device=0)
    ),
    "two in one slot": lambda made: moved(made, guest=of(made, AddVirtio)[0].functions[1].guest),
    "two in one BAR": lambda made: moved(made, bar=of(made, AddVirtio)[0].functions[1].bar),
    "two of one name": lambda made: moved(made, alias="data"),
}


@pytest.mark.parametrize("name", EDITED)
def test_a_plan_whose_engines_and_functions_do_not_belong_together_is_refused(name: str) -> None:
    with pytest.raises(Refused) as error:
        check_whole(EDITED[name](beside()))
    assert [one.code for one in error.value.diagnostics] == ["E515"]


def test_who_runs_it_in_a_user_namespace_is_no_root() -> None:
    facts = served()
    process: Process = replace(facts.process, own_user_namespace=True)
    (step,) = of(beside("disks: {root: ./root.qcow2}", replace(facts, process=process)), StartDiskEngine)
    assert (step.uid, step.gid) == (process.uid, process.gid)


def test_what_their_engines_and_queues_have_open_counts() -> None:
    """A descriptor for each engine, and for each queue."""
    text = "disks: {root: {path: ./root.qcow2, queues: 60}}\n"
    few = served()
    few = replace(few, process=replace(few.process, open_files=50))
    assert "E428" in codes(beside(text, few))
    assert "E428" not in codes(beside(text.replace("60", "6"), few))
    assert {one.at_least for one in beside(text).assumes if one.fact == "process.openable"} == {10 + 2 + 61}
