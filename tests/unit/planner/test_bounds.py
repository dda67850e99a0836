"""What the machine, KVM and Linux have only so many of: a plan says it, where `up` would fail or be slow."""

from __future__ import annotations

import pytest

from launcher.errors import Diagnostic
from launcher.host.facts import Bar, Config, HostFacts, Limit, Msix
from launcher.images.boot_files import BootFile, BootFiles
from launcher.machine.boards import board_of
from launcher.machine.start import Boot
from launcher.plan.plan import Plan
from launcher.plan.steps import DescribeMachine, GiveMemory, Topology
from launcher.planner.assumptions import failed_assumptions
from launcher.record import replace
from launcher.values import GIB, KIB, MIB, Missing, Span
from tests.catalogue.row import with_function, with_process
from tests.planning import FILES, KERNEL, SMALL, codes, host, plan

PVH, LINUX = FILES, BootFiles(replace(KERNEL, kind="bzimage"))
DISK = "devices: {disk: 0000:02:00.0}\n"
BOARD = board_of("x86_64")


def banks(number: int) -> str:
    """Of a MiB each, so that each is a range."""
    return f"boot: {{kernel: ./k}}\ncpus: 1\nmemory: [{', '.join(['{size: 2MiB}'] * number)}]\n"


def only(made: Plan, code: str) -> Diagnostic:
    (found,) = (one for one in made.diagnostics if one.code == code)
    return found


# ---- the memory map ----


@pytest.mark.parametrize(("files", "most"), [(PVH, 162), (LINUX, 123)], ids=["pvh", "linux64"])
def test_a_plan_that_can_run_describes_its_memory_to_the_guest(files: BootFiles, most: int) -> None:
    """The protocol's own function says what fits: it raises one bank later, as `up` would."""
    facts = replace(host("cloud-vm"), memory=replace(host("cloud-vm").memory, total=GIB, available=GIB))
    fits, too_many = plan(banks(most), facts, files), plan(banks(most + 1), facts, files)
    assert ("E319" in codes(fits), "E319" in codes(too_many)) == (False, True)
    described(fits, files)
    with pytest.raises(ValueError, match="memory map entries"):
        described(too_many, files)


def described(made: Plan, files: BootFiles) -> None:
    (give,) = (one for one in made.steps if isinstance(one, GiveMemory))
    (machine,) = (one for one in made.steps if isinstance(one, DescribeMachine))
    start = BOARD.starts["linux64" if files is LINUX else "pvh"]
    entries = BOARD.memory_map(give.ranges, machine.reserved)
    start.patches(Boot(bytes(start.HEAD_SIZE), entries, "", None, 0))


def test_tables_of_the_most_vcpus_fit() -> None:
    tables = BOARD.tables(Topology(1, BOARD.layout.most_vcpus, 1), Span(1 << 38, 1 << 38))
    assert max(one.guest + len(one.data) for one in tables) <= BOARD.layout.tables.end


# ---- memslots ----


def slots(number: int) -> HostFacts:
    facts = host("gpu07")
    assert not isinstance(facts.kvm, Missing)
    return replace(facts, kvm=replace(facts.kvm, extensions=facts.kvm.extensions | {"nr_memslots": number}))


def test_each_piece_of_a_bar_that_is_mapped_is_a_memslot() -> None:
    """Two round the page of the MSI-X table in its middle, and one for the other BAR; ports take none."""
    bars = (
        Bar(0, "mem64", prefetchable=True, start=0x1000, size=16 * KIB),
        Bar(2, "mem32", prefetchable=False, start=0x1000, size=MIB),
        Bar(4, "io", prefetchable=False, start=0x1000, size=256),
    )
    config = Config(msix=Msix(16, 0, 0x1000, 0, 0x1800))
    text = SMALL + DISK
    for number, expected in ((3, True), (4, False)):
        facts = with_function(slots(number), "0000:02:00.0", bars=bars, config=config)
        assert ("W321" in codes(plan(text, facts))) is expected
    found = only(plan(text, with_function(slots(3), "0000:02:00.0", bars=bars, config=config)), "W321")
    assert found.message.startswith("the BARs of the devices take 3 memslots, and KVM has 2 left for them")


def test_a_kvm_that_was_not_asked_has_as_many_memslots_as_it_takes() -> None:
    denied = replace(host("gpu07"), kvm=Missing("denied", "/dev/kvm"))
    assert {"E320", "W321"}.isdisjoint(codes(plan(banks(40) + DISK, denied)))


def test_a_saved_plan_notices_a_kvm_with_fewer_memslots() -> None:
    made = plan(SMALL + DISK, slots(100))
    assert failed_assumptions(made, slots(2), FILES) == ()
    assert [one.fact for one in failed_assumptions(made, slots(1), FILES)] == ["kvm.extensions.nr_memslots"]


# ---- files ----


def test_a_file_that_is_no_option_rom_by_its_size() -> None:
    text = SMALL + "devices: {gpu: {pci: 0000:e1:00.0, rom: ./card.rom}}\n"
    for size, expected in ((16 * MIB, False), (16 * MIB + 1, True)):
        files = BootFiles(KERNEL, roms={"gpu": BootFile("/vms/card.rom", "unknown", size, "33" * 32)})
        assert ("E425" in codes(plan(text, host("gpu07"), files))) is expected


@pytest.mark.parametrize(("length", "expected"), [(107, False), (108, True)])
def test_a_socket_whose_path_is_too_long(length: int, expected: bool) -> None:
    folder = "/" + "r" * (length - len("/vm/control.sock") - 1)
    made = plan(SMALL, with_process(host("cloud-vm"), state_folder=folder))
    assert ("E429" in codes(made)) is expected


# ---- processes, threads, open files ----


def limited(*limits: Limit, **fields: object) -> HostFacts:
    return with_process(host("cloud-vm"), task_limits=limits, cpus=(0, 1, 2, 3), **fields)


def test_the_tightest_of_several_limits_is_named() -> None:
    made = plan(SMALL, limited(Limit("/a.slice/b.service", 100, 3), Limit("/a.slice", 4, 3), Limit("/", 200, 190)))
    found = only(made, "E426")
    assert found.message == "the VM takes 5 processes and threads, and cgroup /a.slice may have 4"
    assert found.fix == "systemctl set-property --runtime a.slice TasksMax=9"


def test_the_limit_that_has_least_left_is_warned_of() -> None:
    made = plan(SMALL, limited(Limit("/docker/7", 20, 3), Limit("/docker", 200, 198)))
    assert only(made, "W405").message.endswith("and cgroup /docker may have 200 and has 198")
    assert "E426" not in codes(made)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"uid": 1000, "capabilities": ()}, True),
        ({"uid": 0, "capabilities": ()}, False),
        ({"uid": 1000, "capabilities": ("cap_sys_resource",)}, False),
        ({"uid": 0, "capabilities": ("cap_sys_resource",), "own_user_namespace": True}, True),
    ],
    ids=["a user", "root", "who may exceed it", "root of a user namespace"],
)
def test_whose_limit_of_processes_counts(fields: dict[str, object], told: bool) -> None:
    assert ("E426" in codes(plan(SMALL, limited(tasks=4, **fields)))) is told


def test_threads_that_populate_memory_count_where_there_are_any() -> None:
    text = SMALL.replace("256MiB", "[{size: 256MiB, pages: 4KiB}]")
    facts = with_process(limited(Limit("/a", 12, 2)), cpus=tuple(range(16)))
    assert ("W405" in codes(plan(text, facts)), "W405" in codes(plan(SMALL, facts))) == (True, False)


def test_a_saved_plan_notices_that_fewer_threads_are_left() -> None:
    made = plan(SMALL, limited(Limit("/a", 12, 2)))
    assert failed_assumptions(made, limited(Limit("/a", 12, 10)), FILES) == ()
    (failed,) = failed_assumptions(made, limited(Limit("/a", 12, 11)), FILES)
    assert str(failed) == "process.tasks_left: at least 2 -> 1"
    (failed,) = failed_assumptions(made, limited(open_files=11), FILES)
    assert str(failed) == "process.openable: at least 12 -> 11"
    assert failed_assumptions(made, limited(), FILES) == ()  # no limit any more


@pytest.mark.parametrize(("limit", "told"), [(305 * MIB, True), (306 * MIB, False), (None, False)])
def test_memory_that_the_process_may_not_map(limit: int | None, told: bool) -> None:
    """Huge pages count as well; 50 MiB are vmlaunch's own."""
    for text in (SMALL, SMALL.replace("256MiB", "[{size: 256MiB, pages: 2MiB}]")):
        assert ("E322" in codes(plan(text, limited(address_space=limit)))) is told


def test_a_limit_that_was_lifted_does_not_make_a_saved_plan_stale() -> None:
    made = plan(SMALL, limited(address_space=GIB, open_files=100))
    assert failed_assumptions(made, limited(address_space=None, open_files=None), FILES) == ()
    (failed,) = failed_assumptions(made, limited(address_space=300 * MIB, open_files=100), FILES)
    assert failed.fact == "process.mappable"


def test_a_descriptor_for_each_piece_of_a_bar_that_devices_reach_by_iommufd() -> None:
    def least(devices: str, **options: str) -> int:
        """As many as the plan says that it takes, where there are few."""
        facts = with_process(host("gpu07"), open_files=9)
        assert isinstance(facts.linux.config, dict)
        there = replace(facts, linux=replace(facts.linux, config=facts.linux.config | options))
        made = plan(f"{SMALL}vfio: iommufd\ndevices: {{{devices}}}\n", there)
        return int(only(made, "E428").message.split("at least ")[1].split()[0])

    two, one = "a: 0000:e1:00.0, b: 0000:02:00.0", "a: 0000:e1:00.0"
    assert least(two, VFIO_PCI_DMABUF="y") > least(two)
    assert least(one, VFIO_PCI_DMABUF="y") == least(one)
