"""A text and a file name in, a VmSpec with the place of each field, or Refused."""

from __future__ import annotations

import pytest

from launcher.errors import Diagnostic, LauncherError, Refused, WrongUsage
from launcher.spec.load import Loaded, load_spec
from launcher.spec.parts import VM_SPEC
from launcher.values import GIB, PciAddress

SHORT = "boot: {kernel: ./bzImage}\ncpus: 4\nmemory: 8GiB\ndevices: {disk: 02:00.0}\n"
LONG = """\
name: trainer
boot: {kernel: ./bzImage}
cpus: {count: 2, pin: 8-9}
memory:
  - {size: 1GiB, pages: 2MiB}
  - size: 2GiB
    at: 0x100000000
devices:
  gpu:
    pci: 0000:c1:00.0
    rom: false
"""


def loaded(text: str | bytes, *sets: str, name: str | None = "vm") -> Loaded:
    return load_spec(text, "vm.yaml", sets=sets, name=name)


def refused(text: str | bytes, *sets: str, name: str | None = "vm") -> tuple[Diagnostic, ...]:
    with pytest.raises(LauncherError) as error:
        loaded(text, *sets, name=name)
    assert isinstance(error.value, Refused | WrongUsage)
    return error.value.diagnostics


def codes(diagnostics: tuple[Diagnostic, ...]) -> list[str]:
    return [one.code for one in diagnostics]


def span(place: Loaded, path: str, *, key: bool = False) -> tuple[int, int, int]:
    where = place.places.where(path, key=key)
    assert (where.file, where.path) == ("vm.yaml", path)
    return where.line, where.column, where.end_column


# ---- values ----


def test_short_forms_mean_their_long_forms() -> None:
    spec = loaded(SHORT).spec
    long = "boot: {kernel: ./bzImage}\ncpus: {count: 4}\nmemory: [{size: 8GiB}]\ndevices: {disk: {pci: 0000:02:00.0}}\n"
    assert spec == loaded(long).spec
    assert spec.cpus.count == 4
    assert [bank.size for bank in spec.memory] == [8 * GIB]
    assert spec.devices["disk"].pci == PciAddress(0, 2, 0, 0)


def test_what_was_loaded_cannot_be_changed() -> None:
    spec = loaded(SHORT).spec
    with pytest.raises(TypeError):
        spec.devices["disk"] = spec.devices["disk"]  # type: ignore[index]
    with pytest.raises(AttributeError, match="frozen"):
        spec.cpus.count = 5


def test_a_spec_written_out_loads_as_itself() -> None:
    spec = loaded(LONG).spec
    assert VM_SPEC.read(VM_SPEC.plain(spec, short=True)) == spec


def test_pin_keeps_the_order_of_the_vcpus() -> None:
    spec = loaded(SHORT.replace("cpus: 4", 'cpus: {count: 4, pin: "8,2-3,1"}')).spec
    assert spec.cpus.pin == (8, 2, 3, 1)


def test_devices_keep_the_order_of_the_file() -> None:
    text = SHORT.replace("{disk: 02:00.0}", "{z: 05:00.0, a: 04:00.0, m: 03:00.0}")
    assert list(loaded(text).spec.devices) == ["z", "a", "m"]


# ---- names ----


def test_name_is_that_of_the_file_unless_the_spec_has_one() -> None:
    assert loaded(SHORT, name="trainer").spec.name == "trainer"
    assert loaded(LONG, name="other").spec.name == "trainer"


def test_file_name_that_is_no_name_suggests_one() -> None:
    (one,) = refused(SHORT, name="My.VM")
    assert (one.code, one.fix) == ("E129", "name: my-vm")


def test_file_name_is_not_judged_when_the_spec_has_a_name() -> None:
    assert loaded(LONG, name="My.VM").spec.name == "trainer"


def test_spec_from_stdin_needs_a_name() -> None:
    assert codes(refused(SHORT, name=None)) == ["E129"]


# ---- places ----


def test_every_field_knows_where_it_is_written() -> None:
    place = loaded(LONG)
    assert span(place, "devices.gpu.pci") == (10, 10, 22)
    assert span(place, "devices.gpu.pci", key=True) == (10, 5, 8)
    assert span(place, "memory.1.size") == (6, 11, 15)
    assert span(place, "memory.0.pages") == (5, 25, 29)


def test_field_of_a_short_form_is_where_the_short_form_is() -> None:
    place = loaded(SHORT)
    assert span(place, "devices.disk.pci") == (4, 17, 24)
    assert span(place, "memory.0.size") == (3, 9, 13)
    assert span(place, "cpus.count") == (2, 7, 8)


def test_field_that_is_not_written_is_at_the_key_around_it() -> None:
    place = loaded(LONG)
    assert span(place, "devices.gpu.companions") == (9, 3, 6)
    assert span(place, "memory.0.node") == (5, 5, 30)
    assert span(place, "vmlaunch") == (1, 1, 1)


def test_field_that_comes_by_an_alias_is_where_the_anchor_is() -> None:
    place = loaded("x-a: &card {rom: false}\n" + SHORT.replace("{disk: 02:00.0}", "{g: {<<: *card, pci: 02:00.0}}"))
    assert span(place, "devices.g.rom") == (1, 18, 23)


# ---- --set ----


def test_set_replaces_adds_and_takes_out() -> None:
    spec = loaded(LONG, "devices.gpu.pci=c2:00.0", "memory.1=null", "devices.nic={pci: 03:00.0, vf: 2}", "cpus=4").spec
    assert str(spec.devices["gpu"].pci) == "0000:c2:00.0"
    assert len(spec.memory) == 1
    assert spec.devices["nic"].vf == 2
    assert (spec.cpus.count, spec.cpus.pin) == (4, None)


def test_later_set_sees_what_an_earlier_one_made() -> None:
    spec = loaded(SHORT, "devices.gpu={match: {class: gpu}}", "devices.gpu.match.node=1").spec
    assert spec.devices["gpu"].match is not None
    assert spec.devices["gpu"].match.node == 1


def test_set_through_an_alias_leaves_the_other_place_alone() -> None:
    text = SHORT.replace("{disk: 02:00.0}", "{a: &a {rom: false, pci: 02:00.0}, b: {<<: *a, pci: 03:00.0}}")
    spec = loaded(text, "devices.a.rom=true").spec
    assert (spec.devices["a"].rom, spec.devices["b"].rom) == (True, False)


def test_what_is_wrong_in_a_set_points_into_that_set() -> None:
    (one,) = refused(SHORT, "cpus=2", "devices.disk=60")
    assert one.where is not None
    assert (one.code, one.where.file, one.where.line, one.where.column) == ("E112", "--set #2", 1, 14)


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("cpus", "E019", 1),
        ("=4", "E019", 1),
        ("cpus=", "E019", 6),
        ("boot.kernel.path=a", "E019", 13),
        ("memory.5.size=1GiB", "E019", 8),
        ("devices.dsik=null", "E019", 9),
        ("devices.disk={pci: 02:00.0", "E004", 27),
        ("cpus=\x07", "E002", 6),
        ("cloud-init={}", "E102", 1),
    ],
)
def test_set_that_cannot_be_done_says_which_part_of_it(text: str, code: str, column: int) -> None:
    (one,) = refused(SHORT if "memory" not in text else LONG, text)
    assert one.where is not None
    assert (one.code, one.where.file, one.where.column) == (code, "--set #1", column)


def test_all_broken_sets_are_reported_with_what_is_wrong_in_the_file() -> None:
    found = refused(SHORT.replace("8GiB", "8G"), "memory.5=1GiB", "boot.kernel=[")
    assert sorted(codes(found)) == ["E004", "E019", "E107"]


def test_set_without_a_value_is_wrong_usage_whatever_the_file_says() -> None:
    with pytest.raises(WrongUsage) as wrong:
        loaded("nonsense: [", "foo", "cpus=4", "=5")
    assert [str(one.where) for one in wrong.value.diagnostics] == ["--set #1, column 1", "--set #3, column 1"]


def test_set_beside_a_short_form_writes_it_out() -> None:
    spec = loaded(SHORT, "devices.disk.companions=attach", "cpus.pin=4-7", "memory.0.node=1").spec
    assert (str(spec.devices["disk"].pci), spec.devices["disk"].companions) == ("0000:02:00.0", "attach")
    assert (spec.cpus.count, spec.cpus.pin) == (4, (4, 5, 6, 7))
    assert (spec.memory[0].size, spec.memory[0].node) == (8 * GIB, 1)
    assert span(loaded(SHORT, "devices.disk.bind=never"), "devices.disk.pci") == (4, 17, 24)
    assert loaded("boot: uefi\ncpus: 1\nmemory: 1GiB\n", "boot.variables=./a").spec.boot.firmware == "uefi"


def test_set_beside_a_short_form_of_a_disk_a_nic_or_a_share_writes_it_out() -> None:
    text = f"{SHORT}disks: {{root: ./a}}\nnics: {{inet: user}}\nshares: {{work: ./src}}\nvsock: true\n"
    sets = ("disks.root.readonly=true", "nics.inet.mac=52:54:00:00:00:01", "shares.work.readonly=true", "vsock.cid=42")
    spec = loaded(text, *sets).spec
    assert (spec.disks["root"].path, spec.disks["root"].readonly) == ("./a", True)
    assert (spec.nics["inet"].user, spec.nics["inet"].mac) == (True, "52:54:00:00:00:01")
    assert (spec.shares["work"].path, spec.shares["work"].readonly) == ("./src", True)
    assert spec.vsock is not None
    assert spec.vsock.cid == 42
    assert loaded(text, "disks.root=./b", "nics.inet=null", "vsock=false").spec.vsock is None


# ---- sizes ----


def test_a_number_without_a_unit_has_readings_and_no_fix() -> None:
    """A fix is applied by programs: 65536GiB for 65536 would ask for a thousand times the memory."""
    for number, readings in {
        "65536": ("65536MiB", "65536GiB"),
        "512": ("512MiB", "512GiB"),
        "0.5": ("512MiB",),
        "8388608": ("8MiB", "8GiB"),
        "100663296": ("96MiB", "96GiB"),
        "100663297": (),
        "0": (),
    }.items():
        for text in (SHORT.replace("8GiB", number), SHORT.replace("8GiB", f"[{{size: {number}}}]")):
            (one,) = refused(text)
            assert (one.code, one.fix) == ("E107", None)
            assert [line.split("`")[1] for line in one.help if "`" in line] == list(readings)


def test_a_size_that_can_mean_one_thing_only_has_a_fix() -> None:
    for written, fix in {
        "0.5GiB": "512MiB",
        "1.5G": "1536MiB",
        "8.0GiB": "8GiB",
        "512M": "512MiB",
        "64GB": "64GiB",
        "8g": "8GiB",
        "4194304k": "4194304KiB",
        "8Gi": "8GiB",
        "8 gigabytes": "8GiB",
        "0.3GiB": None,
        "8 apples": None,
        "512B": None,
        "half": None,
    }.items():
        (one,) = refused(SHORT.replace("8GiB", written))
        assert (one.code, one.fix) == ("E107", fix)


# ---- addresses of banks ----


@pytest.mark.parametrize(
    ("written", "fix"),
    {
        "4GiB": "0x100000000",
        "0X200000000": "0x200000000",
        "0x2_0000_0000": "0x200000000",
        "'0x2_0000_0000'": "0x200000000",
        "0x100001000": "0x100000000",
        "4 apples": None,
        "9999TiB": None,
    }.items(),
)
def test_an_address_that_can_mean_one_place_only_has_a_fix(written: str, fix: str | None) -> None:
    (one,) = refused(SHORT.replace("8GiB", f"[{{size: 8GiB, pages: 2MiB, at: {written}}}]"))
    assert (one.code, one.fix) == ("E109", fix)
    assert fix is None or fix in one.help[0]


def test_a_number_that_is_round_in_hex_only_is_asked_about_and_has_no_fix() -> None:
    for written in ("100000000", "8000000000"):
        (one,) = refused(SHORT.replace("8GiB", f"[{{size: 8GiB, pages: 2MiB, at: {written}}}]"))
        assert (one.code, one.fix) == ("E109", None)
        assert one.help[0].startswith(f"if `0x{written}` is meant")


def test_a_number_in_decimal_that_is_round_in_hex_only_is_none_by_chance() -> None:
    (one,) = refused(SHORT.replace("8GiB", "[{size: 8GiB, at: 8000000000}]"))
    assert (one.code, one.fix) == ("E109", None)
    assert one.help == ("if `0x8000000000` is meant, write that", "if not, write `0x1dcd65000`")
    for written in ("0x1dcd65000", "8589934592", "'0x8000000000'", "0", "512000000000000"):
        assert loaded(SHORT.replace("8GiB", f"[{{size: 8GiB, at: {written}}}]")).spec.memory[0].at is not None


def test_an_address_that_no_machine_has_is_told_the_last_one() -> None:
    for written in ("0x10000000000000", "-4096"):
        (one,) = refused(SHORT.replace("8GiB", f"[{{size: 8GiB, at: {written}}}]"))
        assert (one.code, one.help[0].split(",")[0]) == ("E109", "write an address below 0x10000000000000")


# ---- host CPUs ----


@pytest.mark.parametrize(
    ("written", "helps"),
    {
        "{pin: 8-11}": ("add `count:`, as in `count: 4`",),
        "{count: 4, pin: 8-15}": ("write `count: 8`", "`pin: 8-11`"),
        "{count: 2, pin: [4, 6, 8]}": ("write `count: 3`", "as many host CPUs as there are vCPUs, 2"),
        "{count: 4, pin: 8-9}": ("write `count: 2`", "as many host CPUs as there are vCPUs, 4"),
    }.items(),
)
def test_pins_and_count_that_do_not_fit_are_shown_with_the_number_that_does(
    written: str, helps: tuple[str, ...]
) -> None:
    (one,) = refused(SHORT.replace("cpus: 4", f"cpus: {written}"))
    assert len(one.help) == len(helps)
    assert all(part in line for part, line in zip(helps, one.help, strict=True))


def test_a_key_without_its_partner_says_what_to_write_and_in_place_of_what() -> None:
    for written, help_ in {
        "{match: {class: gpu}, vf: 3}": "write `pci: 0000:3b:00.0` in place of `match`, or take `vf` out",
        "{pci: 02:00.0, pick: free}": "write `match: {class: gpu}` in place of `pci`, or take `pick` out",
    }.items():
        (one,) = refused(SHORT.replace("disk: 02:00.0", f"disk: {written}"))
        assert (one.code, one.help) == ("E122", (help_,))


def test_a_vendor_without_a_device_is_told_so() -> None:
    (one,) = refused(SHORT.replace("disk: 02:00.0", "disk: {pci: 02:00.0, expect: 10de}"))
    assert (one.code, one.help[0].partition(":")[0]) == ("E115", "`10de` is a vendor alone")


def test_no_memory_is_told_so() -> None:
    (one,) = refused(SHORT.replace("8GiB", "0GiB"))
    assert (one.code, one.message) == ("E108", "memory: 0GiB is no memory at all")


def test_more_memory_than_there_can_be_is_told_the_most() -> None:
    """And not to take smaller pages, which is the way out of E108 in other places."""
    (one,) = refused(SHORT.replace("8GiB", "99999999TiB"))
    assert (one.code, one.help) == ("E108", ("4096TiB is the most",))


# ---- null ----


def test_an_optional_field_that_is_null_is_as_if_it_were_not_there() -> None:
    text = SHORT.replace(
        "{disk: 02:00.0}", '{disk: {"pci": "02:00.0", "vf": null, "rom": ~, "allow": null, "match": Null}}'
    )
    assert loaded(text + "name: null\nconfine: null\n").spec == loaded(SHORT).spec
    assert loaded(SHORT.replace("8GiB", "[{size: 8GiB, node: null, pages: null}]")).spec == loaded(SHORT).spec


def test_a_topology_beside_a_count_that_is_null_makes_the_count() -> None:
    assert loaded(SHORT, "cpus={count: null, topology: {cores: 4, threads: null}}").spec.cpus.count == 4
    assert "E102" in codes(refused(SHORT.replace("cpus: 4", "cpus: {count: null}")))


@pytest.mark.parametrize("text", ["boot: {kernel: }", "cpus: null", "devices: {vf: null}", "devices:", "name:"])
def test_a_field_that_is_needed_an_alias_and_a_key_with_nothing_behind_it_have_no_value(text: str) -> None:
    key = text.partition(":")[0]
    rest = "".join(f"{line}\n" for line in SHORT.splitlines() if not line.startswith(key))
    assert "E106" in codes(refused(rest + text))


@pytest.mark.parametrize(
    ("text", "example"),
    {
        SHORT.replace(" 4", ""): "`cpus: 2`",
        SHORT.replace("8GiB", "null"): "`memory: 4GiB`",
        SHORT.replace("8GiB", "[{size: }]"): "`size: 64GiB`",
        SHORT.replace("{kernel: ./bzImage}", "{kernel: }"): "`kernel: ./bzImage`",
        SHORT.replace(" 4", " {topology: {cores: null}}"): "`cores: 4`",
        SHORT.replace("disk: 02:00.0", "gpu: "): "`gpu: 0000:c1:00.0`",
        SHORT.replace("disk: 02:00.0", "vf: null"): "`vf: 0000:c1:00.0`",
    }.items(),
)
def test_what_is_needed_is_shown_by_an_example_and_cannot_be_taken_out(text: str, example: str) -> None:
    (one,) = refused(text)
    assert (one.code, one.help) == ("E106", (f"write a value behind it, as in {example}",))


def test_what_is_not_needed_can_be_taken_out() -> None:
    for text in (SHORT + "name:\n", SHORT.replace("02:00.0", "{pci: 02:00.0, rom: }"), SHORT + "confine:"):
        (one,) = refused(text)
        assert (one.code, one.help) == ("E106", ("write a value behind it, or take it out",))


def test_a_program_is_not_a_text_file() -> None:
    (one,) = refused(b"\x7fELF\x02\x01\x01\0\0\0")
    assert (one.code, one.message) == ("E001", "this is not a text file")


# ---- messages ----


def test_consequences_of_a_mistake_are_not_reported_beside_it() -> None:
    assert codes(refused(SHORT.replace("memory", "memroy"))) == ["E101"]
    assert codes(refused(SHORT.replace("disk: 02:00.0", "disk: {pcy: 02:00.0}"))) == ["E101"]
    assert codes(refused(SHORT.replace("8GiB", "*size"))) == ["E009"]


def test_a_wrong_first_guess_does_not_hide_an_invalid_value() -> None:
    text = SHORT.replace("disk: 02:00.0", "disk: {pci: 02:00, pcy: 02:00.0}")
    assert sorted(codes(refused(text))) == ["E101", "E111"]


def test_second_of_two_equal_addresses_names_the_place_of_the_first() -> None:
    (one,) = refused(SHORT.replace("02:00.0", "02:00.0, b: 0000:02:00.0"))
    assert one.evidence == ("the other one is at vm.yaml:4:17",)


def test_utf8_with_a_byte_order_mark_is_read_and_columns_do_not_count_it() -> None:
    assert loaded(b"\xef\xbb\xbf" + SHORT.encode()).spec == loaded(SHORT).spec
    (one,) = refused("\ufeffboot: 4\ncpus: 1\nmemory: 1GiB\n".encode())
    assert one.where is not None
    assert one.where.column == 7
