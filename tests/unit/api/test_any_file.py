"""Facts files and saved plans that are almost right: a plan, a verdict or a refusal, and never a traceback."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.api.hosts import read_json
from launcher.api.plans import decode_plan, files_of
from launcher.api.staleness import judge
from launcher.cli import main
from launcher.codec import decode
from launcher.errors import LauncherError, Refused, Where
from launcher.host.facts import MediatedDevice
from launcher.images.reading import read_boot_file
from launcher.plan.codec import plan_to_json
from launcher.record import replace
from launcher.values import Missing
from tests import planning
from tests.budget import runs
from tests.conftest import EXAMPLES
from tests.mutations import DAMAGE, damaged

HOSTS = ("gpu07", "lab-zoo", "two-nodes", "lab-virtual-functions", "laptop")
PLANS = {
    "passthrough-on-gpu07": "gpu07",
    "training-on-gpu-server": "gpu-server",
    "huge-on-two-nodes": "two-nodes",
    "small-on-cloud-vm": "cloud-vm",
    "whole-machine-on-gpu07": "gpu07",
}
BUG = 70
# What is printed is read after each call: one capsys does for all examples.
FREELY: dict[str, Any] = {"deadline": None, "suppress_health_check": (HealthCheck.function_scoped_fixture,)}
SPEC = planning.EXAMPLE.read_text()
MANY = """boot: {kernel: ./hello.elf}
memory: [{size: 1GiB, pages: 2MiB, node: 0}, {size: 2GiB, at: 0x100000000}]
cpus: {count: 2, pin: 0-1}
devices: {any: {match: {class: nvme}, pick: free}, other: {match: {class: ethernet}, pick: free, companions: attach}}
"""

MEDIATED = [
    {"address": f"83b8f4f2-509f-382f-3c1e-e6bfe0fa100{n}", "type": kind, "name": None, "api": "vfio-pci",
     "parent": "mtty", "driver": "mtty", "node": None, "group": 70 + n, "vfio": f"vfio{n}"}
    for n, kind in enumerate(("mtty-1", "mtty-2"))
]  # fmt: skip
WITH_MDEV = f"""boot: {{kernel: ./hello.elf}}
cpus: 1
memory: 64MiB
devices: {{one: {{mdev: {MEDIATED[0]["address"]}}}, disk: 0000:02:00.0, two: {{mdev: {MEDIATED[1]["address"]}}}}}
"""


@cache
def recorded(name: str) -> Any:
    return json.loads((planning.HOSTS / f"{name}.json").read_text())


@cache
def saved(name: str) -> Any:
    return json.loads((planning.HOSTS.parent / "plans" / f"{name}.json").read_text())


def answer(capsys: pytest.CaptureFixture[str], *words: object) -> None:
    code = main([str(word) for word in words])
    said = capsys.readouterr()
    assert code != BUG, said.err


@settings(max_examples=runs(60), **FREELY)
@given(name=st.sampled_from(HOSTS), damage=DAMAGE, spec=st.sampled_from((SPEC, MANY)))
def test_any_damage_to_a_facts_file_is_answered(
    tmp_path_factory: pytest.TempPathFactory, capsys: Any, name: str, damage: Any, spec: str
) -> None:
    folder = tmp_path_factory.mktemp("facts")
    facts, vm = folder / "facts.json", folder / "vm.yaml"
    facts.write_text(json.dumps(damaged(recorded(name), damage)))
    vm.write_text(spec.replace("./", f"{EXAMPLES}/"))
    answer(capsys, "plan", vm, "--host", facts)
    answer(capsys, "plan", vm, "--host", facts, "--json", "--svg", folder / "vm.svg")
    answer(capsys, "devices", "--host", facts)
    answer(capsys, "doctor", "--host", facts)
    answer(capsys, "place", vm, vm, facts)


@settings(max_examples=runs(100), **FREELY)
@given(name=st.sampled_from(sorted(PLANS)), damage=DAMAGE)
def test_any_damage_to_a_saved_plan_is_answered(
    tmp_path_factory: pytest.TempPathFactory, capsys: Any, name: str, damage: Any
) -> None:
    """As `plan PLAN` shows it, and as `up PLAN` looks at it before it does anything."""
    raw = json.dumps(damaged(saved(name), damage)).encode()
    path = tmp_path_factory.mktemp("plans") / "vm.plan"
    path.write_bytes(raw)
    answer(capsys, "plan", path, "--svg", path.with_suffix(".svg"))
    with suppress(LauncherError):
        plan = decode_plan(raw, str(path))
        judge(plan, planning.host(PLANS[name]), files_of(plan), strict=False)


@pytest.mark.parametrize("name", ["whole-machine-on-gpu07", "passthrough-on-gpu07"])
def test_whatever_stands_in_a_saved_plan_for_a_part_of_its_spec_is_answered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    path = tmp_path / "vm.plan"
    for place in places(saved(name)["spec"]["resolved"]):
        for other in (True, 7, "x", [], [[]], {}, {"x": []}):
            plain = deepcopy(saved(name))
            put(plain["spec"]["resolved"], place, other)
            path.write_text(json.dumps(plain))
            answer(capsys, "plan", path, "--svg", path.with_suffix(".svg"))
            with suppress(LauncherError):
                plan = decode_plan(path.read_bytes(), str(path))
                judge(plan, planning.host(PLANS[name]), files_of(plan), strict=False)


def places(plain: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Of mappings, also those that have no entry in this plan."""
    for key in (*plain, *(("cloud-init",) if not above else ())):
        yield (*above, key)
        if isinstance(plain.get(key), dict):
            yield from places(plain[key], (*above, key))


def put(plain: Any, place: tuple[str, ...], other: object) -> None:
    for key in place[:-1]:
        plain = plain[key]
    plain[place[-1]] = other


@pytest.mark.parametrize("odd", ["9" * 400, "1" + 22 * "0", "9" * 5000])
def test_a_number_that_no_machine_has_is_refused_wherever_it_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], odd: str
) -> None:
    facts, plan = tmp_path / "facts.json", tmp_path / "vm.plan"
    raw = json.dumps(saved("whole-machine-on-gpu07"))
    for found in (*re.finditer(r": (\d+)[,}]", raw), *re.finditer(r'"0x([0-9a-f]+)"', raw)):
        plan.write_text(raw[: found.start(1)] + odd + raw[found.end(1) :])
        answer(capsys, "plan", plan, "--svg", plan.with_suffix(".svg"))
    plan.write_text(raw.replace('"n": 1,', f'"n": {odd},', 1))
    assert main(["plan", str(plan)]) == 1
    assert "E515" in capsys.readouterr().err
    facts.write_text(re.sub(r": [0-9]+([,}])", rf": {odd}\1", json.dumps(recorded("gpu07")), count=1))
    assert main(["devices", "--host", str(facts)]) == 1
    assert re.search("E29[02]", capsys.readouterr().err)


@settings(max_examples=runs(60), **FREELY)
@given(damage=DAMAGE)
def test_any_damage_to_mediated_devices_is_answered(
    tmp_path_factory: pytest.TempPathFactory, capsys: Any, damage: Any
) -> None:
    """Of a facts file, and of a plan for them."""
    folder = tmp_path_factory.mktemp("facts")
    facts, vm, path = folder / "facts.json", folder / "vm.yaml", folder / "vm.plan"
    facts.write_text(json.dumps(recorded("gpu07") | {"mediated": damaged(MEDIATED, damage)}))
    vm.write_text(WITH_MDEV.replace("./", f"{EXAMPLES}/"))
    answer(capsys, "plan", vm, "--host", facts, "--svg", folder / "vm.svg")
    answer(capsys, "devices", "--host", facts)
    answer(capsys, "init", folder / "first.yaml", "--host", facts)
    host = replace(planning.host("gpu07"), mediated=decode(tuple[MediatedDevice, ...], MEDIATED))
    plain = plan_to_json(planning.plan(WITH_MDEV, host))
    raw = json.dumps(plain | {"steps": damaged(plain["steps"], damage)}).encode()
    path.write_bytes(raw)
    answer(capsys, "plan", path)
    with suppress(LauncherError):
        judge(decode_plan(raw, str(path)), host, planning.FILES, strict=False)


@pytest.mark.parametrize("change", [{"type": "a\nb"}, {"parent": "../x"}, {"vfio": "../../sda"}, {"address": "x"}])
def test_a_mediated_device_that_can_be_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    path = tmp_path / "facts.json"
    path.write_text(json.dumps(recorded("gpu07") | {"mediated": [MEDIATED[0] | change]}))
    assert main(["devices", "--host", str(path)]) == 1
    assert "E292" in capsys.readouterr().err


@settings(max_examples=runs(100), **FREELY)
@given(raw=st.binary(max_size=60) | st.text('{}[]":,0eE-. \\ud8ntf', max_size=60).map(str.encode))
def test_any_bytes_instead_of_a_file_are_answered(
    tmp_path_factory: pytest.TempPathFactory, capsys: Any, raw: bytes
) -> None:
    path = tmp_path_factory.mktemp("files") / "any"
    path.write_bytes(raw)
    answer(capsys, "plan", path)
    answer(capsys, "doctor", "--host", path)
    path.write_bytes(b'{"format_version": "1.0"' + raw)
    answer(capsys, "plan", path)


def test_numbers_that_no_machine_has_take_neither_memory_nor_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    facts = json.loads((planning.HOSTS / "lab-virtual-functions.json").read_text())
    facts["kvm"]["physical_bits"] = facts["iommu"]["address_bits"] = facts["firmware"]["physical_bits"] = 1 << 40
    for unit in facts["iommu"]["units"]:
        unit["address_bits"] = 1 << 40
    for one in facts["pci"]:
        if one["sriov"]:
            one["sriov"]["total"] = 1 << 62
    path, spec = tmp_path / "facts.json", tmp_path / "vm.yaml"
    path.write_text(json.dumps(facts))
    boot = {"kernel": str(EXAMPLES / "hello.elf")}
    for address in ("0000:01:00.0", "0000:01:1f.7", "0000:02:1f.7"):  # the function, and what may be one of its own
        wanted = {"boot": boot, "cpus": 1, "memory": "8GiB", "devices": {"it": {"pci": address}}}
        spec.write_text(json.dumps(wanted))
        answer(capsys, "plan", spec, "--host", path)


@pytest.mark.parametrize("path", ["/boot/a\0b", "/boot/\ud800"])
def test_a_path_that_can_be_none_is_no_file(path: str) -> None:
    assert read_boot_file(path) == Missing("absent", path)


def test_lines_of_memory_in_any_order_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = dict(saved("passthrough-on-gpu07"))
    path = tmp_path / "vm.plan"
    path.write_text(json.dumps(plain | {"memory": plain["memory"][::-1]}))
    answer(capsys, "plan", path)


def test_a_fact_that_is_negative_is_refused_with_its_value(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "facts.json"
    path.write_text((planning.HOSTS / "gpu07.json").read_text().replace('"vectors": 33', '"vectors": -33'))
    assert main(["devices", "--host", str(path)]) == 1
    assert "E292" in (err := capsys.readouterr().err)
    assert "-33 is negative" in err


@pytest.mark.parametrize(
    "name", ["", "vfio", "../kvm", "vfio0 /etc/shadow", "vfio0;reboot", "vfio0\n", "$(reboot)", "\x1b[2J"]
)
def test_a_node_that_vfio_does_not_make_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It would be a word of the commands that a plan proposes: `chown 1000 /dev/vfio/devices/vfio0;reboot`."""
    facts, path = json.loads((planning.HOSTS / "lab-iommufd.json").read_text()), tmp_path / "facts.json"
    own, node = facts["pci"][0] | {"vfio": name}, facts["device_nodes"][0] | {"path": f"/dev/vfio/devices/{name}"}
    changes: tuple[dict[str, Any], ...] = ({"pci": [own, *facts["pci"][1:]]}, {"device_nodes": [node]})
    for change in changes:
        path.write_text(json.dumps(facts | change))
        assert main(["devices", "--host", str(path)]) == 1
        assert "E292" in capsys.readouterr().err


@pytest.mark.parametrize("blanks", range(4))
@pytest.mark.parametrize("number", ["9" * 22, "-1", "- 1"])
def test_a_number_that_may_not_fit_is_seen_wherever_it_begins(tmp_path: Path, blanks: int, number: str) -> None:
    text = (planning.HOSTS / "gpu07.json").read_text().replace('"vectors": 33', f'"vectors":{" " * blanks}{number}')
    with pytest.raises(Refused, match="E29"):
        read_json(text.encode(), Where("facts.json"))
    assert read_json(text.replace(number, "9" * 19).encode(), Where("facts.json"))


@pytest.mark.parametrize("letters", ["utf-16", "utf-16-be", "utf-32-le"])
def test_a_number_that_may_not_fit_is_seen_in_whatever_letters(letters: str) -> None:
    text = (planning.HOSTS / "gpu07.json").read_text()
    assert read_json(text.encode(letters), Where("facts.json")) == json.loads(text)
    for number in ("-33", "9" * 22):
        with pytest.raises(Refused, match="E292"):
            read_json(text.replace('"vectors": 33', f'"vectors": {number}').encode(letters), Where("facts.json"))


@pytest.mark.parametrize(("cut", "place"), [(-20, r":\d+:\d+"), (900, r":\d+:\d+"), (None, "")])
def test_a_plan_that_is_no_json_says_from_where_on(
    cut: int | None, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where that is known: what is nested too deeply has no place."""
    text = json.dumps(saved("small-on-cloud-vm"), indent=2)
    path = tmp_path / "cut.plan"
    path.write_text(text[:cut] if cut else text[:-2] + ', "x": ' + "[" * 100_000)
    assert main(["plan", str(path)]) == 1
    said = capsys.readouterr().err
    assert "error[E515]" in said
    assert re.search(rf" --> .*cut\.plan{place}\n", said), said
    assert "vmlaunch plan SPEC -o" in said
    assert "char" not in said
