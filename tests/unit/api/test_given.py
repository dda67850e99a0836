"""`--only env`: what schedulers say that they have given, in their own words, and what of it does not hold together."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from launcher.api.given import from_environment
from launcher.cli import main
from launcher.errors import Refused
from launcher.foreign.gres import expanded, given_devices, record_of
from launcher.host.facts import MediatedDevice, MediatedParent, MediatedType
from launcher.record import replace
from launcher.values import Mdev, PciAddress
from tests.elves import pvh
from tests.planning import HOSTS, host

CONF = (Path(__file__).parent.parent.parent / "schedulers" / "gres-with-wishes.conf").read_text()
JOB = """JobId=7 JobName=trainer
   JOB_GRES=gpu:10de-2684:1,hugepages:1G:8
     Nodes=gpu07 CPU_IDs=16-17 Mem=100 GRES={}
   MinCPUsNode=2 MinMemoryNode=100M MinTmpDiskNode=0
   TresPerNode=gres:gpu:10de-2684:1,gres:hugepages:1G:8
"""
SPEC = """boot: {kernel: ./hello.elf}
cpus: 2
memory: 1GiB
devices:
  gpu: {match: {id: 10de:2684}, pick: free, companions: attach}
"""


@pytest.mark.parametrize(
    ("gres", "expected"),
    [
        ("gpu:10de-2684:1(IDX:0),hugepages:1G(CNT:8)", ["0000:c1:00.0"]),
        ("gpu:10de-2684:2(IDX:0-1)", ["0000:c1:00.0", "0000:e1:00.0"]),
        ("nvme:144d-a80c:1(IDX:1)", ["0000:81:00.0"]),  # counts the 144d-a809 before it, too
        ("ethernet:15b3-101e:2(IDX:1,3),nvme:144d-a809:1(IDX:0)", ["0000:3b:01.1", "0000:3b:01.3", "0000:02:00.0"]),
        ("gpu:1(IDX:1)", ["0000:e1:00.0"]),  # of a node without types
        ("hugepages:1G(CNT:8)", []),
        ("(null)", []),
        ("", []),
    ],
)
def test_numbers_of_slurm_are_lines_of_gres_conf(gres: str, expected: list[str]) -> None:
    assert [str(one) for one, _ in given_devices(JOB.format(gres), CONF, "gpu07", "gres.conf")] == expected


UUID = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
CARD = MediatedDevice(Mdev(UUID), "nvidia-63", None, "vfio-pci", "0000:41:00.0", "nvidia", 1, 70)


def test_a_mediated_device_is_a_line_as_any_other() -> None:
    conf = f"{CONF}NodeName=gpu07 Name=mdev Type=nvidia-63 File=/sys/bus/mdev/devices/{UUID}\n"
    found = given_devices(JOB.format("gpu:10de-2684:1(IDX:0),mdev:nvidia-63:1(IDX:0)"), conf, "gpu07", "gres.conf")
    assert found == ((PciAddress.parse("0000:c1:00.0"), "10de-2684"), (Mdev(UUID), "nvidia-63"))


@pytest.mark.parametrize(
    ("type_", "said"),
    [
        ("nvidia-63", None),
        ("nvidia-64", "and on this host it is a nvidia-63"),  # which its parent could make, too
        ("half-a-card", None),  # the site's own word
    ],
)
def test_the_type_of_a_mediated_device_is_held_against_the_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, type_: str, said: str | None
) -> None:
    types = tuple(MediatedType(name, None, "vfio-pci", 1) for name in ("nvidia-63", "nvidia-64"))
    parent = MediatedParent("0000:41:00.0", types)
    on = replace(host("gpu07"), mediated=(CARD,), mediated_parents=(parent,))
    (tmp_path / "gres.conf").write_text(f"NodeName=gpu07 Name=mdev Type={type_} File=/sys/bus/mdev/devices/{UUID}\n")
    job = JOB.format(f"mdev:{type_}:1(IDX:0)")
    monkeypatch.setattr("launcher.api.given._scontrol", lambda _: job)
    given = {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "gpu07", "SLURM_CONF": str(tmp_path / "slurm.conf")}
    if said is None:
        assert from_environment(given, on, "/nowhere") == (Mdev(UUID),)
    else:
        with pytest.raises(Refused, match="E585") as refused:
            from_environment(given, on, "/nowhere")
        assert said in refused.value.diagnostics[0].message


def test_a_plugin_for_mediated_devices_names_uuids() -> None:
    on = replace(host("gpu07"), mediated=(CARD,))
    given = {"MDEV_PCI_RESOURCE_EXAMPLE_COM_T4": UUID, "PCI_RESOURCE_EXAMPLE_COM_NVME": "0000:02:00.0"}
    assert from_environment(given, on, "/nowhere") == (PciAddress.parse("0000:02:00.0"), Mdev(UUID))


@pytest.mark.parametrize(
    ("gres", "code", "said"),
    [
        ("gpu:10de-2684:1(IDX:7)", "E585", "gres.conf has 2 of that name"),
        ("nvme:144d-a80c:1(IDX:0)", "E585", "in gres.conf that is a 144d-a809"),
        ("gpu:10de-2684:2(IDX:0)", "E585", "counts up 1"),
        ("gpu:10de-2684:1(IDX:x)", "E584", "not understood"),
        ("gpu:10de-2684:1", "E584", "not understood"),
        (f"gpu:1(IDX:{'9' * 5000})", "E584", "not understood"),
        ("gpu:1(IDX:0-999999)", "E585", "counts up 65537"),
    ],
)
def test_what_slurm_cannot_mean_is_told(gres: str, code: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        given_devices(JOB.format(gres), CONF, "gpu07", "gres.conf")
    (found,) = refused.value.diagnostics
    assert found.code == code
    assert said in found.message


def test_of_an_array_a_task_has_what_is_its_own() -> None:
    """By the number of the last task, which is the array's, scontrol shows all tasks."""
    head, _, rest = JOB.partition("JobName")
    tasks = [
        f"JobId={number} ArrayJobId=7 ArrayTaskId={n} JobName{rest.format(f'gpu:1(IDX:{n})')}"
        for n, number in enumerate((70, 7))
    ]
    assert head == "JobId=7 "
    found = given_devices(record_of("7", "\n".join(tasks)), CONF, "gpu07", "gres.conf")
    assert [str(one) for one, _ in found] == ["0000:e1:00.0"]
    with pytest.raises(Refused, match="E584"):
        record_of("1", "\n".join(tasks))


def test_a_file_that_is_no_address_and_a_node_that_is_not_the_jobs_are_told() -> None:
    for conf, node, said in (
        ("Name=gpu File=/dev/nvidia[0-3]", "gpu07", "no PCI address"),
        ("Name=gpu MultipleFiles=/dev/a[0-1]\nName=gpu MultipleFiles=/dev/b[0-1]", "gpu07", "/dev/b.* no PCI address"),
        (f"Include other.conf\n{CONF}", "gpu07", "lines in another file"),
        (CONF, "gpu08", "names no node gpu08"),
    ):
        with pytest.raises(Refused, match=said):
            given_devices(JOB.format("gpu:1(IDX:1)"), conf, node, "gres.conf")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("gpu07", ["gpu07"]),
        ("gpu[07-09,12]x,login", ["gpu07x", "gpu08x", "gpu09x", "gpu12x", "login"]),
        ("r[1-2]n[1-2]", ["r1n1", "r1n2", "r2n1", "r2n2"]),
        ("n[a-b", ["n", "a-b"]),
        ("", []),
    ],
)
def test_names_are_written_as_slurm_writes_them(text: str, names: list[str]) -> None:
    assert list(expanded(text)) == names


def test_an_expression_stands_for_so_many_names_at_most() -> None:
    assert len(expanded("n[0-999999999],m[0-9999][0-9999]")) == 65536
    assert len(expanded("[0-1]" * 10000)) == 1


def _in_a_job(folder: Path, gres: str, conf: str = CONF) -> dict[str, str]:
    """With a scontrol that says so."""
    (folder / "scontrol").write_text(f"#!/bin/sh\ncat <<'END'\n{JOB.format(gres)}END\n")
    (folder / "scontrol").chmod(0o755)
    (folder / "gres.conf").write_text(conf)
    return {"SLURM_JOB_ID": "7", "SLURMD_NODENAME": "gpu07", "SLURM_CONF": str(folder / "slurm.conf")}


def test_a_group_is_given_whole_by_one_of_its_functions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    variables = _in_a_job(tmp_path, "gpu:10de-2684:1(IDX:0)")
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = from_environment(variables, host("gpu07"), "/nowhere")
    assert [str(one) for one in found] == ["0000:c1:00.0", "0000:c1:00.1"]


def _metadata(*addresses: str, key: str = "resource.kubernetes.io/pciBusID") -> str:
    devices = [{"driver": "d", "name": one, "attributes": {key: {"string": one}}} for one in addresses]
    plain = {"kind": "DeviceMetadata", "requests": [{"name": "gpu-0", "devices": devices}]}
    return json.dumps(plain | {"apiVersion": "metadata.resource.k8s.io/v9"}) + "\n" + json.dumps({"apiVersion": "x/v1"})


def _claim(root: Path, text: str) -> str:
    folder = root / "resourceclaimtemplates" / "devices" / "gpu-0"
    folder.mkdir(parents=True)
    (folder / "pci.example.com-metadata.json").write_text(text)
    return str(root)


@pytest.mark.parametrize(
    ("variables", "metadata", "expected"),
    [
        ({"PCI_RESOURCE_EXAMPLE_COM_GPU": "0000:c1:00.0"}, "", ["0000:c1:00.0", "0000:c1:00.1"]),
        (
            {"PCIDEVICE_X_VF": "0000:3b:01.0,0000:3b:01.1", "PCIDEVICE_X_VF_INFO": '{"0000:3b:01.0":{}}'},
            "",
            ["0000:3b:01.0", "0000:3b:01.1"],
        ),
        ({}, _metadata("0000:e1:00.0"), ["0000:e1:00.0", "0000:e1:00.1"]),
        (
            {"PCIDEVICE_X": "0000:3b:01.0"},
            _metadata("0000:02:00.0", key="pciAddress"),
            ["0000:02:00.0", "0000:3b:01.0"],
        ),
    ],
)
def test_what_kubernetes_gives(variables: dict[str, str], metadata: str, expected: list[str], tmp_path: Path) -> None:
    root = _claim(tmp_path, metadata) if metadata else "/nowhere"
    assert [str(one) for one in from_environment(variables, host("gpu07"), root)] == expected


@pytest.mark.parametrize(
    ("variables", "metadata", "code"),
    [
        ({}, "", "E583"),
        ({"PCI_RESOURCE_X": "mdev-4"}, "", "E584"),
        ({"PCI_RESOURCE_X": ""}, "", "E584"),
        ({"PCI_RESOURCE_X": "0000:c1:00.0", "PCIDEVICE_Y": "0000:c1:00.0"}, "", "E585"),
        ({"PCI_RESOURCE_X": "0000:e1:00.0"}, _metadata("0000:e1:00.0"), "E585"),
        ({}, "{", "E584"),
        ({}, "[" * 100000, "E584"),
        ({}, '{"apiVersion": "metadata.resource.k8s.io/v1", "requests": [{"devices": ["x"]}]}', "E584"),
        ({}, '{"apiVersion": "metadata.resource.k8s.io/v1", "requests": "all"}', "E584"),
        ({}, '{"apiVersion": "metadata.resource.k8s.io/v1", "requests": [{"devices": 1}]}', "E584"),
        ({}, _metadata("0000:e1:00.0").replace('{"string": "0000:e1:00.0"}', '"0000:e1:00.0"'), "E584"),
        ({}, " " * 500000 + "1 " * 200000, "E584"),  # not in hours
        ({}, _metadata("0000:e1:00.0", key="model"), "E584"),
        ({}, _metadata("GPU-4711"), "E584"),
        ({"SLURM_JOB_ID": "7; reboot"}, "", "E584"),
    ],
)
def test_what_kubernetes_cannot_mean_is_told(
    variables: dict[str, str], metadata: str, code: str, tmp_path: Path
) -> None:
    root = _claim(tmp_path, metadata) if metadata else "/nowhere"
    with pytest.raises(Refused) as refused:
        from_environment(variables, host("gpu07"), root)
    assert [one.code for one in refused.value.diagnostics] == [code]


@pytest.mark.parametrize(
    ("gres", "conf", "more", "code"),
    [
        ("gpu:1(IDX:0)", CONF.replace("c1:00.0", "02:00.0"), {}, "E585"),  # slots were renumbered
        ("gpu:1(IDX:0)", CONF, {"PCI_RESOURCE_X": "0000:e1:00.0"}, "E585"),  # a slurmd in a pod
        ("gpu:1(IDX:0)", "", {}, "E585"),
    ],
)
def test_slurm_is_held_against_the_host_and_against_kubernetes(
    gres: str, conf: str, more: dict[str, str], code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = _in_a_job(tmp_path, gres, conf) | more
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(Refused) as refused:
        from_environment(variables, host("gpu07"), "/nowhere")
    assert [one.code for one in refused.value.diagnostics] == [code]


@pytest.mark.parametrize(
    "script", ["", "#!/bin/sh\necho slurm_load_jobs error: Invalid job id specified >&2; exit 1\n"]
)
def test_a_scontrol_that_is_not_there_or_fails_is_told(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = _in_a_job(tmp_path, "")
    (tmp_path / "scontrol").unlink()
    if script:
        (tmp_path / "scontrol").write_text(script)
        (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Refused) as refused:
        from_environment(variables, host("gpu07"), "/nowhere")
    assert [one.code for one in refused.value.diagnostics] == ["E584"]


def test_plan_asks_the_scheduler_for_the_devices_of_a_recorded_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`match` and `pick: free` choose inside of it; a job without devices may touch none."""
    (tmp_path / "hello.elf").write_bytes(pvh())
    (tmp_path / "vm.yaml").write_text(SPEC)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    command = ["plan", "vm.yaml", "--host", str(HOSTS / "gpu07.json"), "--only", "env", "--json"]
    for gres, taken in (("gpu:1(IDX:1)", {"0000:e1:00.0"}), ("gpu:1(IDX:0)", {"0000:c1:00.0", "0000:c1:00.1"})):
        for name, value in _in_a_job(tmp_path, gres).items():
            monkeypatch.setenv(name, value)
        assert main(command) == 0
        plan = json.loads(capsys.readouterr().out)
        assert {one["host"] for one in plan["devices"]} >= taken
    _in_a_job(tmp_path, "hugepages:1G(CNT:8)")
    assert main(command) == 1
    assert "E247" in capsys.readouterr().out
