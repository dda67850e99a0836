"""A VM as a job: what Slurm and Kubernetes are asked for, golden, and held against their own programs and schemas."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from kubernetes_validate import validate

from launcher.api.jobs import Able, agreed, job_of
from launcher.cli import main
from launcher.foreign.job import Job, Want
from launcher.foreign.pod import manifests
from launcher.foreign.slurm_job import names, script
from launcher.spec.load import load_spec
from tests.planning import host, plan

GOLDEN = Path(__file__).parent.parent.parent / "schedulers"
HEAD = "boot: {kernel: ./bzImage, initrd: /vms/initrd.img}\ncpus: 4\n"
TRAINER = (
    HEAD
    + """memory: [{size: 8GiB, pages: 1GiB}]
devices:
  gpu: {match: {id: 10de:2684}, pick: free, companions: attach}
  scratch: {match: {class: nvme, id: 144d:a80c}}
"""
)
ANY_GPU = HEAD + "memory: 1GiB\ndevices:\n  gpu: {match: {class: gpu}, pick: free, companions: attach}\n"
FIXED = HEAD + "memory: 1GiB\ndevices:\n  gpu: {pci: 0000:e1:00.0, companions: attach}\n"
SERVED = """boot: bios
cpus: {count: 2, pin: [2, 3]}
memory: 512MiB
disks: {root: {path: ./root.qcow2, boot-order: 1}}
nics: {lan: {bridge: br0}}
shares: {home: {path: /srv/home, readonly: true}}
vsock: {}
cloud-init: {user-data: ./user-data}
"""
FLEET = ("gpu07", "gpu-server", "laptop", "cloud-vm")


def job(text: str, sets: tuple[str, ...] = ()) -> Job:
    """On those of the fleet whose plan can run; for a spec with disks, on all of it."""
    loaded = load_spec(text, "/vms/trainer.yaml", sets=sets, name="trainer")
    able, unable = list[Able](), list[str]()
    for name in FLEET:
        made = plan(text, host(name))
        devices = {one.alias: one.host for one in made.devices if one.role == "device"}
        if made.summary.can_run != "no" or loaded.spec.disks:
            able.append(Able(host(name), devices))
        else:
            unable.append(name)
    return job_of(loaded, text.encode(), sets, able, unable)


@pytest.mark.parametrize(
    ("golden", "text", "claim"),
    [
        ("trainer.sbatch", TRAINER, None),
        ("any-gpu.sbatch", ANY_GPU, None),
        ("fixed.sbatch", FIXED, None),
        ("served.sbatch", SERVED, None),
        ("trainer-by-plugin.yaml", TRAINER, False),
        ("trainer-by-claim.yaml", TRAINER, True),
        ("any-gpu-by-claim.yaml", ANY_GPU, True),
        ("served.yaml", SERVED, False),
    ],
)
def test_jobs_are_as_they_were_read(golden: str, text: str, claim: bool | None) -> None:
    made = job(text, ("cpus.count=4",) if text == TRAINER else ())
    said = script(made) if claim is None else manifests(made, claim=claim, domain="pci.example.com")
    _compare(golden, said)
    if claim is not None:
        for one in yaml.safe_load_all(said):
            for version in ("1.34", "1.37"):
                validate(one, version, strict=True)


@pytest.mark.parametrize("golden", ["prolog", "epilog"])
def test_scripts_of_nodes_are_as_they_were_read(golden: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["devices", "--format", golden]) == 0
    _compare(golden, capsys.readouterr().out)


def _compare(golden: str, said: str) -> None:
    file = GOLDEN / golden
    if os.environ.get("VMLAUNCH_GOLDEN") == "write":
        file.write_text(said)
    assert said == file.read_text()


@pytest.mark.parametrize("file", sorted([*GOLDEN.glob("*.sbatch"), GOLDEN / "prolog", GOLDEN / "epilog"]), ids=str)
def test_scripts_are_bash(file: Path) -> None:
    subprocess.run(["bash", "-n", file], check=True)


@pytest.mark.parametrize(
    ("demands", "any_type", "wants", "hosts"),
    [
        ({"a": [("gpu", "x")], "b": [("gpu", "y")]}, True, [("gpu", "", 1)], ["a", "b"]),
        ({"a": [("gpu", "x")], "b": [("gpu", "y")]}, False, [("gpu", "x", 1)], ["a"]),
        ({"a": [("gpu", "x")] * 2, "b": [("gpu", "x")]}, True, [("gpu", "x", 2)], ["a"]),
        ({"a": [("gpu", "x")], "b": [("gpu", "x")]}, True, [("gpu", "x", 1)], ["a", "b"]),
        ({"a": [], "b": []}, True, [], ["a", "b"]),
        ({}, True, [], []),
    ],
)
def test_hosts_agree_on_what_is_asked_for(
    demands: dict[str, list[tuple[str, str]]], any_type: bool, wants: list[tuple[str, str, int]], hosts: list[str]
) -> None:
    found = agreed({name: tuple(one) for name, one in demands.items()}, any_type=any_type)
    assert found == (tuple(Want(*one) for one in wants), hosts)


def test_names_are_folded_as_slurm_folds_them() -> None:
    assert names(["n09", "n10", "n11", "n9", "login", "r1n2x", "r1n1x"]) == "login,n[09-11],n9,r1n[1-2]x"


@dataclass
class Run:
    """The script in a folder of its own, with a vmlaunch and a scontrol that note what they were told."""

    folder: Path

    def __call__(self, code: int, excluded: str = "(null)") -> subprocess.CompletedProcess[str]:
        note = f'echo "${{0##*/}} $*" >> {self.folder}/told'
        programs = {
            "vmlaunch": f"{note}; exit {code}",
            "scontrol": f"{note}; [ $1 != show ] || echo '   ReqNodeList=(null) ExcNodeList={excluded}'",
        }
        for name, text in programs.items():
            (self.folder / name).write_text(f"#!/bin/bash\n{text}\n")
            (self.folder / name).chmod(0o755)
        (self.folder / "job").write_text(script(job(ANY_GPU)))
        variables = {
            "PATH": f"{self.folder}:{os.environ['PATH']}",
            "SLURM_JOB_ID": "7",
            "SLURMD_NODENAME": "GPU_7.lan",
        }
        return subprocess.run(["bash", self.folder / "job"], env=variables, capture_output=True, text=True, check=False)

    def told(self) -> list[str]:
        return (self.folder / "told").read_text().splitlines()


@pytest.mark.parametrize(
    ("code", "excluded", "told"),
    [
        (0, "(null)", []),
        (11, "(null)", []),
        (12, "(null)", []),
        (1, "(null)", ["scontrol requeue 7", "scontrol update JobId=7 ExcNodeList=GPU_7.lan"]),
        (10, "a,b", ["scontrol requeue 7", "scontrol update JobId=7 ExcNodeList=a,b,GPU_7.lan"]),
    ],
)
def test_a_job_that_was_refused_goes_elsewhere(code: int, excluded: str, told: list[str], tmp_path: Path) -> None:
    run = Run(tmp_path)
    assert run(code, excluded).returncode == code
    first, *rest = run.told()
    assert first == "vmlaunch up /vms/trainer.yaml --only env --set name=trainer-7-gpu-7-lan"
    assert [one for one in rest if "show" not in one] == told
