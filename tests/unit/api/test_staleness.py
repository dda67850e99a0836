"""Saved plans of anybody, judged by the host as it is: what they say of themselves is nothing, their spec is all."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.api.hosts import recorded_host
from launcher.api.plans import decode_plan, plan_text
from launcher.api.staleness import judge
from launcher.codec import encode
from launcher.errors import LauncherError, StalePlan
from launcher.host.facts import HostFacts, OtherVm, Program
from launcher.images.boot_files import BootFiles
from launcher.images.disk_files import Disk, Qcow2, Rights
from launcher.plan.firmware import LoadFirmware, OpenVariables
from launcher.plan.plan import Plan, Summary
from launcher.plan.seed import SeedFile, StartSeedEngine
from launcher.plan.step import Step
from launcher.plan.steps import DescribeMachine, LoadModules, TakeMemory
from launcher.plan.virtio import AddVirtio, Image, MakeTap, StartDiskEngine, StartShareEngine
from launcher.record import replace
from launcher.values import GIB, MIB, PciAddress
from tests.catalogue.firmware import HOST as WITH_FIRMWARE
from tests.catalogue.firmware import KEPT, USER_DATA
from tests.catalogue.firmware import files as boot_files
from tests.catalogue.firmware import kept as variables
from tests.catalogue.row import Row, with_linux
from tests.catalogue.table import ROWS
from tests.planning import EXAMPLE, FILES, SMALL, host, plan
from tests.served import PROGRAMS, folder, served
from tests.unit.plan.test_golden_plans import HUGE, TRAINING
from tests.unit.planner.test_mediated import ANY, of_one_type
from tests.whole_machine import HOST, HOST_LINKS, ROOT, SPEC, whole_files

FINE = Summary("yes", 0, 0, 0, 0)
CASES = {
    "gpu07": EXAMPLE.read_text(),
    "two-nodes": HUGE,
    "cloud-vm": SMALL,
    "gpu-server": TRAINING,
}
DISK = "boot: {kernel: ./bzImage, initrd: ./initrd.img}\ncpus: 2\nmemory: 1GiB\ndevices: {disk: 0000:02:00.0}\n"


def checked(made: Plan, facts: HostFacts, *, strict: bool = False, files: BootFiles = FILES) -> Plan:
    """As it comes out of its file."""
    return judge(decode_plan(plan_text(made).encode(), "vm.plan"), facts, files, strict=strict)


def refused(made: Plan, facts: HostFacts, *, strict: bool = False, files: BootFiles = FILES) -> set[str]:
    try:
        checked(made, facts, strict=strict, files=files)
    except LauncherError as error:
        return {one.code for one in error.diagnostics}
    return set()


def forged(made: Plan, **fields: Any) -> Plan:
    """With a verdict and assumptions that let anything pass."""
    return replace(made, assumes=(), diagnostics=(), summary=FINE, **fields)


@pytest.mark.parametrize("name", CASES)
def test_a_plan_that_nobody_touched_is_carried_out_as_it_is(name: str) -> None:
    files = FILES if "initrd" in CASES[name] else replace(FILES, initrd=None)
    made = plan(CASES[name], host(name), files)
    saved = decode_plan(plan_text(made).encode(), "vm.plan")
    if any(one.severity == "error" for one in made.diagnostics):
        with pytest.raises(LauncherError):
            judge(saved, host(name), files, strict=False)
        return
    found = judge(saved, host(name), files, strict=False)
    assert (found.steps, found.memory, found.summary) == (made.steps, made.memory, made.summary)
    assert found.diagnostics == made.diagnostics


# ---- verdicts ----


def blocked(row: Row) -> bool:
    found = plan(row.spec, row.host(), row.boot_files()).diagnostics
    return row.code.startswith("E") and row.code in {one.code for one in found}


@pytest.mark.parametrize("row", list(filter(blocked, ROWS)), ids=lambda row: row.name)
def test_a_blocker_that_is_erased_from_the_file_is_found_again(row: Row) -> None:
    facts, files = row.host(), row.boot_files()
    assert row.code in refused(forged(plan(row.spec, facts, files)), facts, files=files)


def test_what_a_plan_knew_nothing_of_is_judged_by_the_facts() -> None:
    """Planned by somebody who could not read all; carried out by somebody who can."""
    facts = host("gpu07")
    made = plan(DISK, facts)
    unknown = replace(made, summary=replace(made.summary, can_run="unknown"))
    assert checked(unknown, facts).summary.can_run == "yes"


def test_warnings_stop_it_when_they_are_to() -> None:
    facts = host("gpu07")
    made = plan(DISK.replace("cpus: 2", "cpus: 200"), facts)
    assert "W402" in refused(forged(made), facts, strict=True)
    assert refused(forged(made), facts) == set()
    assert {one.code for one in checked(forged(made), facts).diagnostics} >= {"W402"}


def test_the_places_of_what_is_said_again_are_those_of_the_spec() -> None:
    facts = host("gpu07")
    made = plan(DISK.replace("cpus: 2", "cpus: 200"), facts)
    (warned,) = (one for one in checked(made, facts).diagnostics if one.code == "W402")
    assert warned.where is not None
    assert (warned.where.file, warned.where.line) == ("vm.yaml", 2)


# ---- steps ----


def leaves(box: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in list(box.items() if isinstance(box, dict) else enumerate(box)):
        if isinstance(value, (dict, list)):
            yield from leaves(value)
        else:
            yield box, key


def another(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return "vfio-pci" if value is None else not value
    if isinstance(value, int):
        return value + 4096
    if value.startswith("0x"):
        return hex(int(value, 16) + 4096)
    words = {"pvh": "linux64", "mem32": "mem64", "mem64": "mem32", "io": "mem32"}
    if value in words:
        return words[value]
    return value[:-1] + ("1" if value.endswith("0") else "0") if value.count(":") == 2 else f"{value}x"


def test_no_field_of_a_step_can_be_another_than_the_spec_asks_for() -> None:
    """Every one of them, with a file that otherwise fits: paths, addresses, drivers, sizes."""
    facts = host("gpu07")
    whole = json.loads(plan_text(forged(plan(EXAMPLE.read_text(), facts))))
    count = sum(1 for step in whole["steps"] for _ in leaves(step["args"]))
    assert count > 60
    for n in range(count):
        plain = json.loads(json.dumps(whole))
        spots = [(step["op"], *spot) for step in plain["steps"] for spot in leaves(step["args"])]
        op, box, key = spots[n]
        was, box[key] = box[key], another(box[key])
        told = ""
        try:
            judge(decode_plan(json.dumps(plain).encode(), "vm.plan"), facts, FILES, strict=False)
        except LauncherError as error:
            told = error.diagnostics[0].code
        # how it is reset is written for people
        assert told in ("E515", "E544") or key == "reset", (op, key, was, told)


def test_no_step_can_be_added_left_out_said_twice_or_moved() -> None:
    facts = host("gpu07")
    made = forged(plan(DISK, facts))
    for n, step in enumerate(made.steps):
        for steps in (
            (*made.steps[:n], *made.steps[n + 1 :]),
            (*made.steps[:n], step, *made.steps[n:]),
            (*made.steps[:n], *made.steps[n + 1 :], step) if n + 1 < len(made.steps) else (step, *made.steps[:n]),
        ):
            assert refused(replace(made, steps=steps), facts) == {"E544"}, step


def test_only_modules_that_vfio_needs_are_loaded_and_it_matters_not_whether_they_are_by_now() -> None:
    loaded = host("gpu07")
    bare = with_linux(loaded, modules=(), loadable=("vfio_pci", "vfio_iommu_type1"))
    made = plan(DISK, bare)
    (step,) = (one for one in made.steps if isinstance(one, LoadModules))
    assert step.modules == ("vfio_pci", "vfio_iommu_type1")
    assert checked(forged(made), loaded).steps == made.steps
    for modules in (("/home/evil/evil.ko",), ("vfio_pci", "evil"), ("-r",), ("",), ("../evil",)):
        steps = tuple(LoadModules(modules) if one is step else one for one in made.steps)
        assert refused(forged(made, steps=steps), loaded) == {"E544"}, modules


def test_a_plan_runs_under_the_name_of_its_spec() -> None:
    made = forged(plan(SMALL, host("cloud-vm")))
    assert refused(replace(made, name="other"), host("cloud-vm")) == {"E544"}


@pytest.mark.parametrize("name", ["../../etc", "/etc", "", ".", "A", "a/b", "a" * 64, "a\n", "a\0"])
def test_a_name_that_is_none_is_refused_at_the_door(name: str) -> None:
    plain = json.loads(plan_text(plan(SMALL, host("cloud-vm")))) | {"name": name}
    with pytest.raises(LauncherError, match="E515"):
        decode_plan(json.dumps(plain).encode(), "vm.plan")


# ---- specs ----


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"devices": {}},
        {"name": 1},
        {"cpus": []},
        {"memory": "lots", "boot": None},
        {"devices": {"a": {}}},
        {"disks": {"a": {}}},
        {"vsock": {"cid": 1}},
    ],
)
def test_a_spec_that_is_none_is_refused_in_our_words(spec: Any) -> None:
    plain = json.loads(plan_text(plan(SMALL, host("cloud-vm"))))
    plain["spec"]["resolved"] = spec
    saved = decode_plan(json.dumps(plain).encode(), "vm.plan")
    with pytest.raises(LauncherError, match="E515: the plan has no spec that is valid: ") as raised:
        judge(saved, host("cloud-vm"), FILES, strict=False)
    assert "Input should" not in raised.value.diagnostics[0].message


def test_a_spec_that_asks_for_more_than_the_steps_is_refused() -> None:
    plain = json.loads(plan_text(forged(plan(DISK, host("gpu07")))))
    plain["spec"]["resolved"]["devices"]["disk"]["rom"] = "/etc/shadow"
    saved = decode_plan(json.dumps(plain).encode(), "vm.plan")
    with pytest.raises(LauncherError, match=r"E41.|E544"):
        judge(saved, host("gpu07"), FILES, strict=False)


def test_that_a_mediated_device_before_the_one_that_was_free_is_free_now_is_told_as_that() -> None:
    files = replace(FILES, initrd=None)
    made = plan(ANY, of_one_type("/dev/vfio/80"), files)
    assert refused(made, of_one_type("/dev/vfio/80"), files=files) == set()
    with pytest.raises(StalePlan, match="E516") as error:
        checked(made, of_one_type(), files=files)
    assert "device_nodes[/dev/vfio/80]: qemu -> " in " ".join(error.value.diagnostics[0].evidence)


# ---- disks, networks, shares and vsock ----


def whole(facts: HostFacts = HOST, files: BootFiles | None = None) -> Plan:
    return plan(SPEC, facts, files or whole_files())


def test_a_whole_machine_is_carried_out_as_it_was_planned() -> None:
    made = whole()
    assert made.summary.can_run == "yes"
    assert checked(made, HOST, files=whole_files()).steps == made.steps


def with_top(**fields: Any) -> BootFiles:
    """The image of `root` is another one."""
    files = whole_files()
    disk = files.disks["root"]
    assert isinstance(disk, Disk)
    chain = (replace(disk.top, **fields), *disk.chain[1:])
    return replace(files, disks=files.disks | {"root": replace(disk, chain=chain)})


def with_link(**fields: Any) -> HostFacts:
    assert HOST.serving is not None
    links = tuple(replace(one, **fields) if one.name == "br0" else one for one in HOST.serving.links)
    return replace(HOST, serving=replace(HOST.serving, links=links))


MOVED: dict[str, tuple[HostFacts, BootFiles, str]] = {
    "an image was replaced": (HOST, with_top(identity="1:4711"), "/vms/debian.qcow2"),
    "its owner is another": (HOST, with_top(rights=Rights("/vms/debian.qcow2", 1, 1, 0o600)), "rights"),
    "it may be written by all": (
        HOST,
        with_top(rights=replace(ROOT[0].rights, mode=0o666)),
        "rights.mode): 0600 -> 0666",
    ),
    "a base was put below": (
        HOST,
        replace(whole_files(), disks=whole_files().disks | {"root": Disk((ROOT[1],))}),
        "root",
    ),
    "an image was emptied": (
        HOST,
        with_top(qcow2=Qcow2(3, 0)),
        "/vms/debian.qcow2 (files.disks[root].holds): sectors -> nothing",
    ),
    "another VM writes it": (
        served(vms=(OtherVm("other", images=(ROOT[0].identity,)),), links=HOST_LINKS),
        whole_files(),
        f"serving.images[{ROOT[0].identity}]: nothing -> other",
    ),
    "the file system is full": (HOST, with_top(free=4096), "files.disks[root].room): at least 1048576 -> 4096"),
    "its MAC is another VM's": (
        served(vms=(OtherVm("other", ("52:54:00:03:32:97",)),), links=HOST_LINKS),
        whole_files(),
        "serving.macs[52:54:00:03:32:97]: nothing -> other",
    ),
    "a folder was replaced": (HOST, replace(whole_files(), shares={"work": folder("src", identity="1:7")}), "1:7"),
    "the bridge has another MTU": (with_link(mtu=1500), whole_files(), "serving.links[br0].mtu: 9000 -> 1500"),
    "the bridge is a card": (with_link(kind="other"), whole_files(), "serving.links[br0].kind"),
    "the bridge is gone": (with_link(name="br7"), whole_files(), "serving.links[br0]"),
    "an engine is gone": (served(programs={}, links=HOST_LINKS), whole_files(), "serving.programs[passt]"),
    "a virtiofsd of the other kind": (
        served(programs=PROGRAMS | {"virtiofsd": Program("/usr/lib/qemu/virtiofsd", "7.2", "c")}, links=HOST_LINKS),
        whole_files(),
        "serving.programs[virtiofsd].kind: rust -> c",
    ),
}


@pytest.mark.parametrize("name", MOVED)
def test_what_has_changed_beside_the_devices_is_named(name: str) -> None:
    facts, files, named = MOVED[name]
    with pytest.raises(StalePlan) as error:
        checked(whole(), facts, files=files)
    (one,) = error.value.diagnostics
    assert one.code == "E516"
    assert named in " ".join(one.evidence)


def test_what_guests_and_packages_change_by_themselves_is_no_difference() -> None:
    written = with_top(size=3 * MIB, allocated=3 * MIB, free=50 * GIB)
    newer = {name: replace(one, version="99") for name, one in PROGRAMS.items()}
    facts = with_link(mac="02:00:00:00:00:09", ports=("eth0", "eth1"))
    assert facts.serving is not None
    facts = replace(facts, serving=replace(facts.serving, programs=newer))
    assert checked(whole(), facts, files=written).steps == whole().steps


def test_where_a_link_leads_is_no_difference_as_long_as_it_is_the_same_file() -> None:
    """Plans that were saved before anybody asked say nothing of it."""
    moved = replace(with_top(real="/store/7/debian.qcow2"), shares={"work": replace(folder("src"), real="/store/src")})
    assert checked(whole(), HOST, files=moved).steps == whole().steps


def test_a_module_that_was_loaded_meanwhile_is_no_difference() -> None:
    made = whole(served(nodes=(), links=HOST_LINKS))
    assert any(isinstance(step, LoadModules) for step in made.steps)
    assert checked(made, HOST, files=whole_files()).steps == made.steps


def test_that_the_vm_itself_was_up_when_it_was_planned_is_no_difference() -> None:
    own = served(vms=(OtherVm("vm", ("52:54:00:03:32:97",), 1540331767, (ROOT[0].identity,)),), links=HOST_LINKS)
    locked = with_top(taken=("read", "write"))
    made = whole(own, locked)
    assert made.summary.can_run == "yes"
    assert checked(made, HOST, files=whole_files()).steps == whole().steps


def edited(made: Plan, kind: type[Step], **fields: Any) -> Plan:
    return forged(made, steps=tuple(replace(one, **fields) if isinstance(one, kind) else one for one in made.steps))


def with_disk(made: Plan, **fields: Any) -> Plan:
    (step, *_) = (one for one in made.steps if isinstance(one, StartDiskEngine))
    disks = (replace(step.disks[0], **fields), *step.disks[1:])
    return forged(made, steps=tuple(replace(one, disks=disks) if one is step else one for one in made.steps))


FORGED = {
    "another program": lambda made: edited(made, StartShareEngine, program="/home/evil/virtiofsd"),
    "as root": lambda made: edited(made, StartShareEngine, uid=0),
    "a share that is written": lambda made: edited(made, StartShareEngine, readonly=True),
    "another bridge": lambda made: edited(made, MakeTap, bridge="virbr0"),
    "another tap": lambda made: edited(made, MakeTap, tap="eth0"),
    "a CD that is written": lambda made: edited(made, AddVirtio, functions=tuple(
        replace(one, readonly=False) for step in made.steps if isinstance(step, AddVirtio) for one in step.functions
    )),
    "another image": lambda made: with_disk(made, images=(Image("/etc/shadow", "raw", "1:1"),)),
    "another format": lambda made: with_disk(made, images=(Image("/vms/debian.qcow2", "raw", "1:1711"),)),
    "without its base": lambda made: with_disk(made, images=made.steps[2].disks[0].images[:1]),
    "an engine too many": lambda made: forged(made, steps=tuple(
        one for step in made.steps for one in [step] * (1 + isinstance(step, StartShareEngine))
    )),
    "no engine": lambda made: forged(made, steps=tuple(
        step for step in made.steps if not isinstance(step, StartDiskEngine)
    )),
    "memory that is not shared": lambda made: edited(made, TakeMemory, shared=False),
}  # fmt: skip


@pytest.mark.parametrize("name", FORGED)
def test_no_step_does_what_the_spec_does_not_ask_for(name: str) -> None:
    assert refused(FORGED[name](whole()), HOST, files=whole_files()) == {"E544"}


SEEDED = f"{KEPT}cloud-init: {{user-data: ./user-data}}\n"
BOOTED = replace(boot_files(None, variables()), seed={"user-data": USER_DATA})
SHADOW = SeedFile("user-data", "/etc/shadow", "00" * 32, "")
FORGED_BOOT = {
    "another firmware": lambda made: edited(made, LoadFirmware, path="/etc/shadow"),
    "another order": lambda made: edited(made, LoadFirmware, order=(PciAddress(0, 0, 2, 0),)),
    "other variables": lambda made: edited(made, OpenVariables, path="/etc/shadow"),
    "another template": lambda made: edited(made, OpenVariables, template="/etc/shadow"),
    "another file for cloud-init": lambda made: edited(made, StartSeedEngine, files=(SHADOW,)),
    "an engine as root": lambda made: edited(made, StartSeedEngine, uid=0),
    "another name": lambda made: edited(made, DescribeMachine, name="other"),
}


@pytest.mark.parametrize("name", ["", *FORGED_BOOT])
def test_a_guest_boots_what_the_spec_asks_for(name: str) -> None:
    made = plan(SEEDED, WITH_FIRMWARE(), BOOTED)
    found = FORGED_BOOT[name](made) if name else made
    assert refused(found, WITH_FIRMWARE(), files=BOOTED) == ({"E544"} if name else set())


def test_the_format_of_an_image_is_that_of_the_spec_whatever_a_plan_says() -> None:
    """A raw disk that is opened as qcow2 opens whatever its guest has named as its base."""
    files, made = whole_files(), whole()
    disk = files.disks["cd"]
    assert isinstance(disk, Disk)
    as_qcow2 = replace(disk, chain=(replace(disk.top, format="qcow2"),))
    (step,) = (one for one in made.steps if isinstance(one, StartDiskEngine) and one.disks[0].alias == "cd")
    served_as = replace(step.disks[0], images=(replace(step.disks[0].images[0], format="qcow2"),))
    steps = [replace(step, disks=(served_as,)) if one is step else one for one in made.steps]
    answer = refused(forged(made, steps=tuple(steps)), HOST, files=replace(files, disks=files.disks | {"cd": as_qcow2}))
    assert answer
    assert "E516" not in answer


def test_a_plan_starts_no_engine_that_its_spec_has_nothing_for() -> None:
    """Wherever such a step is put, and whatever it would open."""
    made, facts = forged(plan(SMALL, HOST)), HOST
    foreign = [step for step in whole().steps if step.op in ("start-disk-engine", "make-tap", "add-virtio")]
    for one in foreign:
        for place in range(len(made.steps) + 1):
            steps = (*made.steps[:place], one, *made.steps[place:])
            assert refused(replace(made, steps=steps), facts) == {"E544"}, one


def test_a_recorded_host_serves_as_the_one_that_was_recorded(tmp_path: Path) -> None:
    path = tmp_path / "host.json"
    path.write_text(json.dumps(encode(HOST)))
    assert plan(SPEC, recorded_host(str(path)), whole_files()) == whole()
