"""A VM as a job: what Slurm and Kubernetes are asked for, golden, and held against their own programs and schemas."""

from __future__ import annotations

import io
import json
import os
import subprocess
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from launcher.api.jobs import agreed, job_of
from launcher.cli import main
from launcher.foreign.job import HostFile, Want
from launcher.foreign.pod import manifests
from launcher.foreign.slurm_job import names
from launcher.spec.load import load_spec
from tests.elves import pvh
from tests.planning import HOSTS

GOLDEN = Path(__file__).parent.parent.parent / "schedulers"
HEAD = "boot: {kernel: ./bzImage, initrd: ./initrd.img}\ncpus: 4\n"
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


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What specs name is there, and a fleet of recorded hosts."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "bzImage").write_bytes(pvh())
    (folder / "initrd.img").write_bytes(bytes(4096))
    (folder / "hosts").mkdir()
    for name in FLEET:
        plain = json.loads((HOSTS / f"{name}.json").read_text()) | {"name": name}
        (folder / "hosts" / f"{name}.json").write_text(json.dumps(plain))
    return folder


def printed(site: Path, text: str, *words: str) -> str:
    """As it would be below /vms."""
    (site / "trainer.yaml").write_text(text)
    out = io.StringIO()
    with redirect_stdout(out):
        assert main(["place", str(site / "trainer.yaml"), str(site / "hosts"), *words]) == 0
    return out.getvalue().replace(str(site), "/vms")


@pytest.mark.parametrize(
    ("golden", "text", "claim"),
    [
        ("trainer.sbatch", TRAINER, None),
        ("any-gpu.sbatch", ANY_GPU, None),
        ("fixed.sbatch", FIXED, None),
        ("trainer-by-plugin.yaml", TRAINER, False),
        ("trainer-by-claim.yaml", TRAINER, True),
        ("any-gpu-by-claim.yaml", ANY_GPU, True),
    ],
)
def test_jobs_are_as_they_were_read(golden: str, text: str, claim: bool | None, site: Path) -> None:
    sets = ("--set", "cpus.count=6", "--set", "boot.cmdline=$(POD) a'b") if text == TRAINER else ()
    kind = "slurm" if claim is None else "kubernetes"
    said = printed(site, text, "--format", kind, *(["--claim"] if claim else []), *sets)
    _compare(golden, said)


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
    script: str

    def __call__(self, code: int, excluded: str = "(null)") -> subprocess.CompletedProcess[str]:
        note = f'echo "${{0##*/}} $*" >> {self.folder}/told'
        programs = {
            "vmlaunch": f"{note}; exit {code}",
            "scontrol": f"{note}; [ $1 != show ] || echo '   ReqNodeList=(null) ExcNodeList={excluded}'",
        }
        for name, text in programs.items():
            (self.folder / name).write_text(f"#!/bin/bash\n{text}\n")
            (self.folder / name).chmod(0o755)
        (self.folder / "job").write_text(self.script)
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
def test_a_job_that_was_refused_goes_elsewhere(
    code: int, excluded: str, told: list[str], tmp_path: Path, site: Path
) -> None:
    run = Run(tmp_path, printed(site, ANY_GPU, "--format", "slurm"))
    assert run(code, excluded).returncode == code
    first, *rest = run.told()
    assert first == "vmlaunch up /vms/trainer.yaml --only env --set name=trainer-7-gpu-7-lan"
    assert [one for one in rest if "show" not in one] == told


def test_words_of_a_spec_are_none_of_kubernetes() -> None:
    """`$(NAME)` would be a variable's value there, and `$$` one dollar."""
    spec = "/vms/$(POD)/a$$b.yaml"
    made = job_of(load_spec(ANY_GPU, spec, name="vm"), ANY_GPU, ["boot.cmdline=$$(POD) $x"], [], [])
    said = manifests(made)
    assert '- "/vms/$$(POD)/a$$$$b.yaml"\n' in said
    assert '- "boot.cmdline=$$$$(POD) $$x"\n' in said


def test_files_and_devices_of_the_host_are_listed_for_a_pod() -> None:
    made = job_of(load_spec(SERVED, "/vms/served.yaml", name="served"), SERVED, (), [], [])
    assert made.files == (
        HostFile("/vms/user-data"),
        HostFile("/vms/root.qcow2", writable=True),
        HostFile("/srv/home"),
    )
    assert made.nodes == ("kvm", "tun", "vhost-net", "vhost-vsock")
    assert made.notes == ("`cpus.pin` names CPUs that the scheduler may have given to others.",)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--claim"], "E297"),
        (["--format", "slurm", "--image", "x"], "E297"),
        (["--format", "kubernetes", "--domain", "A b"], "E581"),
    ],
)
def test_words_that_do_not_fit(words: list[str], code: str, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "trainer.yaml").write_text(ANY_GPU)
    assert main(["place", str(site / "trainer.yaml"), str(site / "hosts"), *words]) == 2
    assert code in capsys.readouterr().err
    for specs in ([str(site / "trainer.yaml")] * 2, [str(site / "\udcff" / "trainer.yaml")]):
        assert main(["place", *specs, str(site / "hosts"), "--format", "slurm"]) == 2
        assert "E579" in capsys.readouterr().err


@pytest.mark.parametrize(("spec", "disk"), [("a:b.yaml", "./root.img"), ("vm.yaml", "./02:00.0.img")])
def test_a_pod_has_no_path_with_a_colon(spec: str, disk: str, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / spec).write_text(f"name: vm\n{ANY_GPU}disks: {{root: {disk}}}\n")
    (site / disk).write_bytes(bytes(512))
    words = ["place", str(site / spec), str(site / "hosts"), "--format"]
    assert main([*words, "kubernetes"]) == 2
    said = capsys.readouterr()
    assert (said.out, "E579" in said.err) == ("", True)
    assert main([*words, "slurm"]) == 0


def test_what_no_host_can_run_is_no_job(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (site / "trainer.yaml").write_text(ANY_GPU.replace("class: gpu", "id: 10de:ffff"))
    assert main(["place", str(site / "trainer.yaml"), str(site / "hosts"), "--format", "slurm"]) == 1
    said = capsys.readouterr()
    assert (said.out, "E204" in said.err) == ("", True)


@pytest.mark.parametrize(("id_", "named"), [("10de:2684", ""), ("15b3:101d", "#SBATCH --exclude=wrong\n")])
def test_an_id_that_is_no_word_does_not_get_into_a_script(
    id_: str, named: str, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a GPU, which the spec is about, and of a card that `place` does not look at. The other host stays."""
    plain = json.loads((HOSTS / "gpu07.json").read_text())
    wrong = json.dumps(plain | {"name": "wrong"}).replace(f'"{id_}"', f'"{id_}\\n#SBATCH --uid=root"')
    (tmp_path / "a.json").write_text(wrong)
    (tmp_path / "b.json").write_text(json.dumps(plain))
    (site / "trainer.yaml").write_text(ANY_GPU)
    assert main(["place", str(site / "trainer.yaml"), str(tmp_path), "--format", "slurm"]) == 0
    said = capsys.readouterr()
    assert "--uid=root" not in said.out
    assert named in said.out
    assert "E292" in said.err


def test_a_name_that_is_no_word_does_not_get_into_a_script(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, name in enumerate(("gpu07", "x\nrm -rf /", "y\n#SBATCH --uid=root")):
        source = "gpu07" if number < 2 else "laptop"
        plain = json.loads((HOSTS / f"{source}.json").read_text()) | {"name": name}
        (tmp_path / f"{number}.json").write_text(json.dumps(plain))
    (tmp_path / "3.json").write_text((HOSTS / "gpu07.json").read_text().replace("10de:2684", "10de:2684\\nrm -rf /"))
    (site / "trainer.yaml").write_text(ANY_GPU)
    assert main(["place", str(site / "trainer.yaml"), str(tmp_path), "--format", "slurm"]) == 0
    said = capsys.readouterr()
    assert said.err.count("E580") >= 2
    assert "error[E292]" in said.err
    assert main(["devices", "--host", str(tmp_path), "--format", "gres"]) == 1
    assert "\nrm" not in capsys.readouterr().out
    assert "rm -rf" not in said.out
    assert "uid" not in said.out
