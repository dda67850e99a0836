"""`devices --format`: what a scheduler can give of recorded hosts, in its own words."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import pytest

from launcher.api.units import offered, wishes_of
from launcher.cli import main
from launcher.foreign.slices import resource_slices
from launcher.foreign.slurm_nodes import gres_conf, nodes_conf
from launcher.foreign.units import cores_of, runs
from launcher.host.facts import Cpu, HostFacts, MediatedDevice
from launcher.record import replace
from launcher.values import Mdev
from tests.planning import HOSTS, host

GOLDEN = Path(__file__).parent.parent.parent / "schedulers"
FLEET = ("gpu-server", "gpu07", "lab-large", "laptop", "lab-zoo")


@pytest.fixture
def fleet(tmp_path: Path) -> Path:
    folder = tmp_path / "hosts"
    folder.mkdir()
    for name in FLEET:
        shutil.copy(HOSTS / f"{name}.json", folder)
    return folder


@pytest.mark.parametrize(
    ("golden", "words"),
    [
        ("gres.conf", ["gres"]),
        ("gres-with-wishes.conf", ["gres", "--wish", "gpu.companions=attach", "--wish", "nvme.allow=in-use"]),
        ("nodes.conf", ["nodes"]),
        ("slices.yaml", ["resourceslice", "--domain", "pci.example.com"]),
    ],
)
def test_inventories_are_as_they_were_read(
    golden: str, words: list[str], fleet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["devices", "--host", str(fleet), "--format", *words]) == 0
    out, file = capsys.readouterr().out, GOLDEN / golden
    if os.environ.get("VMLAUNCH_GOLDEN") == "write":
        file.write_text(out)
    assert out == file.read_text()


def test_a_group_is_given_once_and_only_if_the_planner_would_pass_it() -> None:
    """0000:c1:00.0 has its sound with it, which the host holds: it is given where the site's specs attach it."""
    bare, whole = (offered(host("gpu07"), wishes_of(wish)).units for wish in ([], ["gpu.companions=attach"]))
    assert [str(one.address) for one in bare if one.kind == "gpu"] == ["0000:e1:00.0"]
    assert [str(one.address) for one in whole if one.kind == "gpu"] == ["0000:c1:00.0", "0000:e1:00.0"]
    assert len({one.group for one in whole}) == len(whole)


def test_a_wish_is_for_all_that_its_class_has() -> None:
    """`display` has what is called `gpu` here, as in `match`."""
    found = [offered(host("gpu07"), wishes_of([f"{kind}.companions=attach"])) for kind in ("gpu", "display")]
    assert found[0] == found[1] != offered(host("gpu07"))


TYPED, UUID = ("GRID T4/1Q", "nvidia-63", "i915-GVTg"), "83b8f4f2-509f-382f-3c1e-e6bfe0fa100"


def with_mediated() -> HostFacts:
    """Two that VFIO gives a PCI guest, one that it does not."""
    apis = ("vfio-pci", "vfio-pci", "vfio-ccw")
    made = (
        MediatedDevice(
            Mdev(f"83b8f4f2-509f-382f-3c1e-e6bfe0fa100{n}"), kind, None, api, "0000:41:00.0", "nvidia", 1, 70 + n
        )
        for n, (kind, api) in enumerate(zip(TYPED, apis, strict=True))
    )
    return replace(host("gpu07"), mediated=tuple(made))


def test_mediated_devices_that_are_there_are_given_by_their_uuids() -> None:
    offer = offered(with_mediated())
    found = [(str(one.address)[-4:], one.type) for one in offer.units if one.kind == "mdev"]
    assert found == [("1000", "GRID-T4-1Q"), ("1001", "nvidia-63")]
    lines = gres_conf([offer]).splitlines()
    assert any(
        re.fullmatch(
            r"NodeName=gpu07 Name=mdev Type=nvidia-63 File=/sys/bus/mdev/devices/83b8f4f2-\S+1001 Cores=\S+", line
        )
        for line in lines
    ), lines
    assert "mdev:nvidia-63:1" in nodes_conf([offer])
    assert re.search(r"^GresTypes=.*\bmdev\b", nodes_conf([offer]), re.MULTILINE)
    slices = resource_slices([offer], "gpu.example.com")
    assert "name: mdev-83b8f4f2-509f-382f-3c1e-e6bfe0fa1001" in slices
    assert "mdevUUID" in slices
    assert "name: mdev.gpu.example.com" in slices


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([(0, 0, "0:0"), (1, 1, "1:0"), (2, 0, "0:0"), (3, 1, "1:0")], (2, 1, 2, {0: (0,), 1: (1,)})),
        ([(0, 0, "0:9"), (1, 0, "0:4")], (1, 2, 1, {0: (0, 1)})),
        ([(0, 0, "0:0"), (1, 0, "0:0"), (2, 0, "0:1")], None),  # cores with and without a second thread
        ([(0, 0, "0:0"), (1, 0, "0:1"), (2, 1, "1:0")], None),  # sockets of different sizes
        ([(0, 0, "0:0 Gres=gpu:9")], None),
    ],
)
def test_cores_are_counted_as_slurm_counts_them(places: list[tuple[int, int, str]], expected: object) -> None:
    found = cores_of(Cpu(*one) for one in places)
    assert (found and (found.sockets, found.per_socket, found.threads, dict(found.by_node))) == expected


def test_numbers_are_written_as_runs() -> None:
    assert runs([7, 0, 1, 2, 9, 10]) == "0-2,7,9-10"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["gres", "--wish", "gpu.companions=yes"], "E581"),
        (["gres", "--wish", "printer.allow=in-use"], "E581"),
        (["resourceslice", "--domain", "A b"], "E581"),
        (["gres", "--domain", "pci.example.com"], "E297"),
        (["gres", "--json"], "E297"),
        (["gres", "--deep"], "E297"),
        (["epilog"], "E297"),
    ],
)
def test_words_that_make_no_sense(words: list[str], code: str, fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--host", str(fleet), "--format", *words]) == 2
    assert code in capsys.readouterr().err


def test_bad_hosts_do_not_keep_back_the_others(fleet: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = json.loads((fleet / "laptop.json").read_text())
    (fleet / "a-half.json").write_text('{"format_version": "1.0", "na')
    (fleet / "another.json").write_text(json.dumps(plain | {"format_version": "9.0"}))
    (fleet / "twice.json").write_text(json.dumps(plain | {"recorded_at": "2020-01-01T00:00:00Z"}))
    for name in ("x Gres=gpu:9\nNodeName=y", "DEFAULT", "All"):
        (fleet / f"word-{len(name)}.json").write_text(json.dumps(plain | {"name": name}))
    functions = [one | {"id": "10de:2684:9\nProlog=/tmp/x"} for one in plain["pci"]]
    (fleet / "type.json").write_text(json.dumps(plain | {"name": "type", "pci": functions}))
    assert main(["devices", "--host", str(fleet), "--format", "nodes"]) == 1
    said = capsys.readouterr()
    assert said.out == (GOLDEN / "nodes.conf").read_text()
    assert all(code in said.err for code in ("E290", "E291", "E292", "W576", "E580"))
    assert said.err.count("E580") == 3


def test_an_empty_folder_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--host", str(tmp_path), "--format", "gres"]) == 1
    assert "E573" in capsys.readouterr().err
