"""`vmlaunch place`: many hosts, best first, why others cannot, and what is wrong with a file."""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from launcher.api import assigning, placing
from launcher.api.answering import judge
from launcher.api.inventories import hosts_in, text_at, texts_in
from launcher.api.placing import place
from launcher.api.plans import read_spec
from launcher.api.schemas import placement_schema
from launcher.api.spread import spread
from launcher.cli import main
from launcher.codec import encode
from launcher.errors import Refused, WrongUsage
from launcher.plan.placement import placement_to_json
from launcher.record import replace
from launcher.values import GIB, Missing, Moment
from tests.catalogue.row import with_function
from tests.elves import pvh
from tests.planning import host, plan

GPU = "devices: {gpu: {match: {id: 10de:2684}, pick: free, companions: attach}}"
IDS = ("10de:2684", "10de:2330")
H100 = "devices: {gpu: {match: {id: 10de:2330}, pick: free}}"

DAMAGED = "E574" if sys.version_info < (3, 14) else "E293"  # an archive, by who cannot and who can unpack it


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with `vm.yaml`, which wants one RTX 4090, and three hosts, of which one has two."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bzImage").write_bytes(pvh())
    (tmp_path / "hosts").mkdir()
    write_spec(tmp_path, "vm", GPU)
    for name in ("gpu07", "gpu-server", "laptop"):
        record(tmp_path, name)
    return tmp_path


def write_spec(site: Path, name: str, devices: str, memory: str = "4GiB") -> str:
    path = site / f"{name}.yaml"
    path.write_text(f"boot: {{kernel: ./bzImage}}\ncpus: 2\nmemory: {memory}\n{devices}\n")
    return str(path)


def record(site: Path, recorded: str, file: str = "", **facts: Any) -> None:
    made = replace(host(recorded), **facts)
    (site / "hosts" / f"{file or made.name}.json").write_text(json.dumps(encode(made), indent=1))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["place", *words])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_best_host_comes_first_and_the_others_say_why_not(site, capsys) -> None:
    code, out, err = said(capsys, "vm.yaml", "hosts")
    assert (code, err) == (0, "")
    assert "vm: 1 of 3 hosts can run it" in out
    assert "gpu07" in out.splitlines()[3]
    assert "gpu 0000:e1:00.0" in out
    assert "1 host: gpu: nothing on this host matches id 10de:2684 (E204)" in out


def test_its_json_fits_the_schema_and_says_of_a_host_what_plan_says(site, capsys) -> None:
    code, out, _ = said(capsys, "vm.yaml", "hosts", "--json")
    plain = json.loads(out)
    assert code == 0
    assert [one.message for one in Draft202012Validator(placement_schema()).iter_errors(plain)] == []
    for one in plain["specs"][0]["hosts"]:
        main(["plan", "vm.yaml", "--host", one["file"], "--json"])
        made = json.loads(capsys.readouterr().out)
        assert {key: one[key] for key in ("can_run", "blockers", "warnings", "host_changes")}.items() <= (
            made["summary"].items()
        )
        assert [each["code"] for each in one["diagnostics"]] == [each["code"] for each in made["diagnostics"]]


def test_a_file_with_a_host_in_each_line_says_the_same(site, capsys) -> None:
    files = sorted((site / "hosts").glob("*.json"))
    lines = [json.dumps(json.loads(one.read_text())) for one in files]
    (site / "hosts.jsonl").write_text("\n\n".join(lines) + "\n")
    whole, listed = (json.loads(said(capsys, "vm.yaml", name, "--json")[1]) for name in ("hosts", "hosts.jsonl"))
    places = {one["host"]: one.pop("line") for one in listed["specs"][0]["hosts"]}
    assert places == {json.loads(line)["name"]: 2 * n + 1 for n, line in enumerate(lines)}
    for one in (*whole["specs"][0]["hosts"], *listed["specs"][0]["hosts"]):
        one.pop("file")
        one.pop("line", None)
    assert whole == listed
    for source, raw in texts_in("hosts.jsonl"):
        assert text_at(source) == raw
    assert [one.name for _, one in hosts_in("hosts.jsonl")] == [one.name for _, one in hosts_in("hosts")]


def test_processes_say_together_what_one_says(site) -> None:
    specs = [read_spec("vm.yaml")]
    assert place(specs, "hosts", parts=3) == place(specs, "hosts", parts=1)


def test_no_host_at_all_is_1(site, capsys) -> None:
    code, out, _ = said(capsys, write_spec(site, "none", "devices: {x: {match: {id: 'dead:beef'}}}"), "hosts")
    assert code == 1
    assert "none of 3 hosts can run it" in out


def test_strict_keeps_hosts_out_that_warn(site, capsys) -> None:
    record(site, "gpu07", recorded_at=Moment(0))
    assert said(capsys, "vm.yaml", "hosts")[0] == 0
    code, out, _ = said(capsys, "vm.yaml", "hosts", "--strict")
    assert code == 1
    assert "(W267)" in out


def test_a_person_at_a_terminal_sees_how_far_it_is(site, capsys, monkeypatch) -> None:
    monkeypatch.setattr("launcher.cli.terminal.can_redraw", lambda _: True)
    monkeypatch.setattr("launcher.cli.place._EVERY", 2)
    _, out, err = said(capsys, "vm.yaml", "hosts")
    assert err == "\r2 hosts judged\r\x1b[K"
    assert "hosts judged" not in out


def test_a_narrow_terminal_tears_no_word_of_the_last_line_apart(site, capsys, monkeypatch) -> None:
    monkeypatch.setattr("launcher.report.lines.columns_of", lambda _: 60)
    _, out, _ = said(capsys, "vm.yaml", "hosts")
    assert out.endswith("\n`vmlaunch plan vm.yaml --host FILE` says all that there is\nto say of one host.\n")


def test_what_could_not_be_read_makes_a_host_unsure(site, capsys) -> None:
    facts = host("gpu07")
    asleep = with_function(facts, "0000:e1:00.0", bars=Missing("denied", "resource"))
    record(site, "gpu07", pci=asleep.pci)
    code, out, _ = said(capsys, "vm.yaml", "hosts")
    assert code == 0
    assert "gpu07?" in out
    assert "?: a fact" in out


def test_a_name_without_end_moves_no_other_off_the_screen_and_a_reason_is_said_once(site, capsys) -> None:
    record(site, "gpu07", "long", name="x" * 100_000)
    record(site, "laptop", "none", name="")
    write_spec(site, "two", "x-two: banks", "[{size: 1GiB, node: 9}, {size: 1GiB, node: 9}]")
    _, out, _ = said(capsys, "vm.yaml", "hosts")
    assert "x" * 63 + "…" in out
    assert "(no name" in out
    assert max(map(len, out.splitlines())) < 200
    _, out, _ = said(capsys, "two.yaml", "hosts")
    assert out.count("this host has no node 9 (E301)") == out.count("hosts: ") + out.count("host: ") > 0


# ---- what is wrong with a file stops no other ----


def test_one_bad_file_does_not_stop_the_others(site, capsys) -> None:
    folder = site / "hosts"
    (folder / "a-cut.json").write_text('{"format_version": "1.0", "name": ')
    (folder / "b-old.json").write_text('{"format_version": "0.9"}')
    (folder / "c-odd.json").write_text((folder / "gpu07.json").read_text().replace('"uid": 0', '"uid": "root"'))
    (folder / "d-folder.json").mkdir()
    (folder / "e-list.json").write_text("[]")
    plain = encode(host("laptop")) | {"name": "f"}
    (folder / "f-group.json").write_text(
        json.dumps(plain | {"groups": [*plain["groups"], {"number": 999, "devices": []}]})
    )
    code, out, err = said(capsys, "vm.yaml", "hosts")
    assert code == 0
    assert "1 of 3 hosts" in out
    codes = [line[6:10] for line in err.splitlines() if line.startswith("error[")]
    assert codes == ["E290", "E291", "E292", "E293", "E291", "E292"]


def test_a_file_that_is_no_json_is_told_once_and_a_thousand_bad_lines_are_not_all_told(site, capsys) -> None:
    assert said(capsys, "vm.yaml", "bzImage")[2].count("error[E290]") == 1
    (site / "bad.jsonl").write_text("{]\n" * 1000)
    _, out, err = said(capsys, "vm.yaml", "bad.jsonl")
    assert "no host could be read" in out
    assert err.count("error[E290]") == 10
    assert "and 990 more" in err


def test_a_bad_line_is_told_by_its_number(site, capsys) -> None:
    good = json.dumps(encode(host("gpu07")))
    (site / "hosts.jsonl").write_text(f"{good}\n{{]\n")
    code, _, err = said(capsys, "vm.yaml", "hosts.jsonl")
    assert code == 0
    assert "hosts.jsonl:2:2" in err


@pytest.mark.parametrize(
    ("times", "code", "fitting"), [((None, None), "E576", 0), ((5, 5), "E576", 0), ((5, 9), "W576", 1)]
)
def test_a_host_that_is_there_twice_counts_once_or_not_at_all(site, times, code, fitting) -> None:
    for file, seconds in zip(("gpu07", "again"), times, strict=True):
        record(site, "gpu07", file, recorded_at=seconds and Moment(seconds))
    found = place([read_spec("vm.yaml")], "hosts")
    assert [one.code for one in found.unread] == [code]
    assert found.specs[0].fitting == fitting
    assert [one.file for one in found.specs[0].hosts if one.fits] == ["hosts/again.json"] * fitting


def test_hosts_without_a_name_are_not_one_host(site) -> None:
    for file in ("one", "two"):
        record(site, "gpu07", file, name="redacted")
    found = place([read_spec("vm.yaml")], "hosts")
    assert found.unread == ()
    assert found.specs[0].fitting == 3


@pytest.mark.parametrize(
    ("hosts", "code"),
    [("empty", "E573"), ("nothing", "E573"), ("nowhere", "E293"), ("pipe", "E293"), ("packed", DAMAGED)],
)
def test_without_hosts_nothing_is_judged(site, hosts, code) -> None:
    (site / "empty").mkdir()
    (site / "nothing").write_bytes(b"\n\n")
    os.mkfifo(site / "pipe")
    (site / "packed").write_bytes(b"\x28\xb5\x2f\xfd....")
    with pytest.raises(Refused, match=code):
        place([read_spec("vm.yaml")], hosts)


@pytest.mark.parametrize("words", [("hosts", "vm.yaml"), ("vm.yaml", "hosts", "vm.yaml"), ("-", "-", "hosts")])
def test_words_that_do_not_fit_are_2(site, capsys, words) -> None:
    code, _, err = said(capsys, *words)
    assert code == WrongUsage.exit_code
    assert "E579" in err


def test_a_spec_with_an_address_is_told_what_that_means_elsewhere(site, capsys) -> None:
    spec = write_spec(site, "slot", "devices: {d: 0000:e1:00.0, e: {pci: 0000:02:00.0, expect: 144d:a809}}")
    _, _, err = said(capsys, spec, "hosts")
    assert err.count("warning[W577]: d: on each host 0000:e1:00.0 is whatever sits in that slot") == 1
    assert err.count("W577") == 1  # `expect` says what it is
    assert "or add `expect: 10de:2684`" in err  # which is what most hosts have there


def test_what_no_host_has_in_a_slot_is_not_named_by_an_id(site, capsys) -> None:
    spec = write_spec(site, "slots", "devices: {disk: 0000:02:00.0, nothing: 0000:ff:00.0}")
    _, _, err = said(capsys, spec, "hosts")
    disk, _, nothing = err.partition("W577]: nothing")
    assert "`match: {id: 144d:a809}`" in disk
    assert "{id:" not in nothing


def test_a_part_that_is_killed_is_no_answer() -> None:
    def work(part: int, parts: int) -> Any:
        yield part
        if part == 1:
            raise SystemExit  # without a word

    with pytest.raises(Refused, match="E575"):
        list(spread(work, 2))


def test_a_part_that_cannot_begin_is_no_answer() -> None:
    """Those that have begun are ended."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 2, before[1]))
    try:
        with pytest.raises(Refused, match="E575"):
            list(spread(lambda part, _: iter([part]), 4))
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_bug_in_a_part_is_one_of_the_whole() -> None:
    def work(part: int, parts: int) -> Any:
        yield part // (1 - part)

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        list(spread(work, 2))


def test_what_one_part_refuses_the_whole_refuses() -> None:
    def work(part: int, parts: int) -> Any:
        yield from texts_in("/nowhere", part, parts)

    with pytest.raises(Refused, match="E293"):
        list(spread(work, 2))


# ---- several specs ----


def assigned(site: Path, *specs: str) -> list[str | None]:
    found = place([read_spec(one) for one in specs], "hosts")
    if found.assignment is None:  # one alone has the best of its hosts
        return [found.specs[0].hosts[0].host]
    return [one.host for one in found.assignment]


def test_no_group_is_given_twice(site) -> None:
    """gpu07 has one that is free, gpu-server eight of another kind."""
    names = [write_spec(site, f"h{n}", H100) for n in range(9)]
    assert assigned(site, *names[:8]) == ["gpu-server"] * 8
    assert assigned(site, *names).count(None) == 1
    found = place([read_spec(one) for one in names[:8]], "hosts").assignment or ()
    assert len({str(one.devices["gpu"]) for one in found}) == 8
    for one in found:
        assert (
            plan(Path(one.spec).read_text(), host("gpu-server"), only=",".join(map(str, one.only))).devices[0].host
            == (one.devices["gpu"])
        )


def test_who_has_fewer_hosts_comes_first(site) -> None:
    """Else the VM that could run anywhere would have taken the only card of the other."""
    record(site, "gpu-server", pci=(), groups=())
    anywhere, there = (
        write_spec(site, "a", "devices: {g: {match: {class: gpu}, pick: free, companions: attach}}"),
        "vm.yaml",
    )
    assert assigned(site, anywhere, there).count("gpu07") == 1
    record(site, "gpu-server")
    assert assigned(site, anywhere, there) == ["gpu-server", "gpu07"]


def test_as_many_as_possible_have_a_host_where_not_all_can(site) -> None:
    """One that fits nowhere takes nothing from the others, nor do those that are too many."""
    nowhere = write_spec(site, "nowhere", "devices: {x: {match: {id: 'dead:beef'}}}")
    names = [write_spec(site, f"h{n}", H100) for n in range(12)]
    assert assigned(site, nowhere, nowhere) == [None, None]
    found = assigned(site, nowhere, *names, "vm.yaml")
    assert (found[0], found.count("gpu-server"), found[-1]) == (None, 8, "gpu07")


def test_one_moves_for_another(site) -> None:
    """Both could have the one free card of gpu07; the one that has another way takes that, whatever the order."""
    for file in ("second", "third"):
        record(site, "gpu-server", file, name=file)
    either = write_spec(site, "either", "devices: {g: {match: {class: gpu}, pick: free, companions: attach}}")
    names = [write_spec(site, f"h{n}", H100) for n in range(24)]
    for specs in ([either, "vm.yaml", *names], [*names, "vm.yaml", either]):
        found = assigned(site, *specs)
        assert found.count(None) == 1  # 25 for 24 and one
        assert found.count("gpu07") == 1


def test_who_was_assigned_first_moves_when_another_has_no_place(site) -> None:
    """Three hosts with one card each. The first VM has two of them and takes the best, which the others need."""
    for one in (site / "hosts").iterdir():
        one.unlink()
    first, second = "0000:3b:01.0", "0000:3b:01.1"
    for name, marked in (("x", (first, second)), ("y", (first,)), ("z", (second,))):
        facts = host("gpu07")
        for address in marked:
            facts = with_function(facts, address, id=f"1111:000{address[-1]}")
        record(site, "gpu07", name, name=name, pci=facts.pci)
    folders = [site / one for one in "abc"]
    specs = []
    for folder, mark in zip(folders, "011", strict=True):
        folder.mkdir()
        (folder / "bzImage").write_bytes(pvh())
        devices = f"mark: {{match: {{id: '1111:000{mark}'}}}}, gpu: {{match: {{id: 10de:2684}}, pick: free}}"
        specs.append(write_spec(folder, folder.name, f"devices: {{{devices}}}"))
    assert assigned(site, *specs[:1]) == ["x"]
    assert assigned(site, *specs) == ["y", "x", "z"]


def test_memory_and_huge_pages_are_counted(site) -> None:
    for name in ("gpu-server", "laptop"):
        (site / "hosts" / f"{host(name).name}.json").unlink()
    whole = host("gpu07").memory.total // GIB * 2 // 3
    large = [write_spec(site, name, "", f"{whole}GiB") for name in ("a", "b")]
    assert assigned(site, *large) == ["gpu07", None]
    free = sum(pool.free for node in host("gpu07").nodes for pool in node.huge_pages if pool.size == GIB)
    assert free > 2
    paged = [write_spec(site, name, "", f"[{{size: {free // 2 + 1}GiB, pages: 1GiB}}]") for name in ("c", "d")]
    assert assigned(site, *paged) == ["gpu07", None]
    assert assigned(site, paged[0], write_spec(site, "e", "", "[{size: 1GiB, pages: 1GiB}]")) == ["gpu07", "gpu07"]


def test_two_vms_of_one_name_are_not_put_on_one_host(site, capsys) -> None:
    assert sorted(map(str, assigned(site, "vm.yaml", "vm.yaml"))) == ["None", "gpu07"]
    code, out, _ = said(capsys, "vm.yaml", "vm.yaml", "hosts")
    assert code == 1
    assert "Together: no host was found for 1 of 2 VMs" in out


def test_a_search_without_a_way_ends(site, monkeypatch) -> None:
    """Eight of one name for seven hosts: nobody is planned beside another, and there are seven factorial orders."""
    judged = list[None]()

    def counted(*words: Any) -> Any:
        judged.append(None)
        assert len(judged) < 1000
        return judge(*words)

    monkeypatch.setattr(assigning, "TRIES", 20)
    monkeypatch.setattr(assigning, "judge", counted)
    for file in "abcdef":
        record(site, "laptop", file, name=file)
    (site / "hosts" / "gpu07.json").unlink()
    (site / "hosts" / "gpu-server.json").unlink()
    names = [write_spec(site, f"v{n}", "name: same", f"{512 + n}MiB") for n in range(8)]
    assert assigned(site, *names).count(None) == 1


def test_programs_may_change_a_spec_for_each_vm(site) -> None:
    """Of one file there are two VMs then: of other names, and of other sizes."""
    specs = [read_spec("vm.yaml", [f"name=vm{n}", f"devices.gpu.match.id={id_}"]) for n, id_ in enumerate(IDS)]
    found = place(specs, "hosts")
    assert [one.host for one in found.assignment or ()] == ["gpu07", "gpu-server"]
    assert [one.name for one in found.specs] == ["vm0", "vm1"]


def test_the_assignment_is_a_part_of_the_json(site) -> None:
    found = placement_to_json(place([read_spec("vm.yaml"), read_spec(write_spec(site, "h", H100))], "hosts"))
    assert [list(Draft202012Validator(placement_schema()).iter_errors(found)), len(found["specs"])] == [[], 2]
    assert [one["host"] for one in found["assignment"]] == ["gpu07", "gpu-server"]
    assert found["assignment"][0]["only"] == ["0000:e1:00.0", "0000:e1:00.1"]


def test_many_hosts_are_shared_among_processes(site, monkeypatch) -> None:
    monkeypatch.setattr(placing, "_FEW", 1)
    assert place([read_spec("vm.yaml")], "hosts").specs[0].fitting == 1
