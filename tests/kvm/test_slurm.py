"""VMs as jobs of a real Slurm of three nodes, which are recorded hosts; the guests are real ones without their devices.

What is submitted is what vmlaunch has written: inventory, scripts, prolog and epilog.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES, ROOT, STATE, ends, kill, parent_of, processes_of
from tests.planning import HOSTS
from tests.schedulers import slurm
from tests.schedulers.slurm import Slurm

WHY_NOT = slurm.missing()
pytestmark = [pytest.mark.kvm, pytest.mark.skipif(bool(WHY_NOT), reason=f"no Slurm here: {WHY_NOT}")]
WISHES = ("--wish", "gpu.companions=attach")  # as the specs have it
FLEET = ("gpu-server", "gpu07", "lab-large")
HEAD = "boot: {kernel: ./hello.elf}\ncpus: 2\n"
VF = "{match: {id: 15b3:101e}, pick: free}"
DEVICES = {
    "gpu": ("1GiB", "{gpu: {match: {class: gpu}, pick: free, companions: attach}}"),
    "big": ("[{size: 4GiB, pages: 1GiB}]", "{gpu: {match: {id: 10de:2330}, pick: free}}"),
    "pair": ("1GiB", f"{{a: {VF}, b: {VF}}}"),
    "net": ("512MiB", f"{{vf: {VF}}}"),
    "plain": ("256MiB", "{}"),
}
KINDS = {name: f"{HEAD}memory: {memory}\ndevices: {devices}\n" for name, (memory, devices) in DEVICES.items()}
Payload = Callable[[str], Path]


@dataclass
class Rig:
    """A Slurm, and the folder where nodes have their facts, jobs their scripts, and what was told."""

    slurm: Slurm
    folder: Path

    def submit(self, kind: str, *words: str) -> str:
        return self.slurm.submit(self.folder / f"{kind}.sbatch", f"--output={self.folder}/out/%j", *words)

    def out(self, job: str) -> str:
        file = self.folder / "out" / job
        return file.read_text() if file.exists() else ""

    def told(self) -> list[dict[str, object]]:
        file = self.folder / "told"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def listening(self, job: str) -> int:
        """Its guest has said that it hears the power button. -> the pid of its `up`."""
        pid = self.folder / "pids" / job
        slurm.wait_until(lambda: pid.exists() and "!" in self.out(job), f"the guest of job {job}")
        return int(pid.read_text())

    def left(self, job: str) -> list[Path]:
        return [*STATE.glob(f"*-{job}-*")]

    def ended(self, job: str, *states: str) -> dict[str, str]:
        """And what its epilog does has been done."""
        found = self.slurm.wait_for(job, *states)
        slurm.wait_until(lambda: not self.left(job), f"the epilog of job {job}")
        return found

    def write(self, name: str, text: str, guest: Path) -> None:
        """A spec, the script for it, and what runs in its place."""
        spec, hosts = self.folder / f"{name}.yaml", self.folder / "hosts"
        spec.write_text(text)
        (self.folder / f"{name}.sbatch").write_text(asked("place", spec, hosts, "--format", "slurm"))
        kernel = {"name": name, "boot": {"kernel": str(guest)}, "cpus": 1, "memory": "32MiB"}
        (self.folder / "guests" / spec.name).write_text(json.dumps(kernel))


def asked(*words: object) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "launcher", *map(str, words)], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory, payload: Payload) -> Iterator[Rig]:
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("hosts", "guests", "locks", "pids", "out"):
        (folder / name).mkdir()
    for name in FLEET:
        shutil.copy(HOSTS / f"{name}.json", folder / "hosts")
    shutil.copy(EXAMPLES / "hello.elf", folder)
    (folder / "vmlaunch").write_text(
        f"#!/bin/sh\nexport SLURM_CONF={folder}/slurm.conf PYTHONPATH={ROOT}\n"
        f'exec {sys.executable} -m tests.schedulers.vmlaunch_on_a_node "$@"\n'
    )
    (folder / "vmlaunch").chmod(0o755)
    hosts = ("devices", "--host", folder / "hosts", *WISHES, "--format")
    scripts = {name: asked("devices", "--format", name) for name in ("prolog", "epilog")}
    scripts = {name: text.replace("PATH=", f"PATH={folder}:", 1) for name, text in scripts.items()}
    with slurm.cluster(folder, asked(*hosts, "nodes"), asked(*hosts, "gres"), scripts) as running:
        made = Rig(running, folder)
        for kind, text in KINDS.items():
            made.write(kind, text, EXAMPLES / "hello.elf")
        made.write("button", KINDS["net"], payload("button"))
        yield made


@pytest.mark.parametrize("count", [8, pytest.param(100, marks=pytest.mark.long)])
def test_each_job_gets_devices_of_its_own(rig: Rig, count: int) -> None:
    """None fails for a device, and none runs where the plan says no: it would not be COMPLETED, but queued again."""
    before = len(rig.told())
    jobs = [rig.submit([*KINDS][n % len(KINDS)]) for n in range(count)]
    ended = [rig.ended(job, "COMPLETED", "FAILED", "CANCELLED") for job in jobs]
    assert [one["JobState"] for one in ended] == ["COMPLETED"] * count, [rig.out(one["JobId"]) for one in ended]
    told = rig.told()[before:]
    assert sorted(one["job"] for one in told) == sorted(jobs)  # each once
    assert {one["code"] for one in told} == {0}
    assert len({one["node"] for one in told}) > 1
    assert all("all vCPUs are here" in rig.out(job) for job in jobs)


def test_what_no_host_has_is_refused_when_it_is_submitted(rig: Rig) -> None:
    """By vmlaunch, which makes no job of it; and if there is one all the same, by Slurm."""
    spec = rig.folder / "nowhere.yaml"
    spec.write_text(KINDS["big"].replace("10de:2330", "10de:ffff"))
    with pytest.raises(subprocess.CalledProcessError):
        asked("place", spec, rig.folder / "hosts", "--format", "slurm")
    with pytest.raises(RuntimeError, match="not available"):
        rig.submit("big", "--gres=gpu:10de-ffff:1")


@pytest.mark.parametrize(
    ("words", "state"), [([], "CANCELLED"), (["--batch", "--signal=TERM"], "COMPLETED"), (["--full"], "CANCELLED")]
)
def test_a_job_that_is_cancelled_powers_its_guest_off(rig: Rig, words: list[str], state: str) -> None:
    job = rig.submit("button")
    rig.listening(job)
    rig.slurm.ask("scancel", *words, job)
    rig.ended(job, state)
    assert "the guest powered off: SIGTERM" in rig.out(job)


@pytest.mark.parametrize("whom", ["keeper", "runner", "all"])
def test_a_job_that_is_killed_leaves_nothing(rig: Rig, whom: str) -> None:
    job = rig.submit("button")
    up = rig.listening(job)
    keeper, runner = processes_of(up)
    kill(*{"keeper": [keeper], "runner": [runner], "all": [up, keeper, runner]}[whom])
    rig.ended(job, "FAILED")
    assert ends(runner)


def test_a_job_is_queued_again_elsewhere_when_its_host_has_changed(rig: Rig) -> None:
    """gres.conf still has the graphics card that it was made with; another one is in that slot now."""
    facts = rig.folder / "hosts" / "gpu07.json"
    before = facts.read_text()
    facts.write_text(before.replace("10de:2684", "10de:2685"))
    try:
        job = rig.submit("gpu", "--exclude=gpu-server,lab-large")
        slurm.wait_until(lambda: rig.slurm.job(job)["ExcNodeList"].endswith(",gpu07"), "the node to be excluded")
    finally:
        facts.write_text(before)
    assert "E585" in rig.out(job)
    rig.slurm.wait_for(job, "PENDING")
    rig.slurm.ask("scontrol", "update", f"JobId={job}", "StartTime=now", "ExcNodeList=lab-large,gpu07")
    assert rig.ended(job, "COMPLETED")["NodeList"] == "gpu-server"


def test_a_job_that_is_queued_again_starts_anew(rig: Rig) -> None:
    job = rig.submit("button")
    rig.listening(job)
    rig.slurm.ask("scontrol", "requeue", job)
    rig.ended(job, "PENDING")
    (rig.folder / "out" / job).unlink()
    rig.slurm.ask("scontrol", "update", f"JobId={job}", "StartTime=now")
    rig.listening(job)
    rig.slurm.ask("scancel", "--batch", "--signal=TERM", job)
    assert rig.ended(job, "COMPLETED")["Restarts"] == "1"


@pytest.mark.long
def test_a_node_that_was_lost_is_put_back_when_it_returns(rig: Rig) -> None:
    """Its VM runs on meanwhile, and so the job's next one has another name."""
    job = rig.submit("button")
    up = rig.listening(job)
    node = rig.slurm.job(job)["NodeList"]
    rig.slurm.kill_node(node)
    rig.slurm.wait_for(job, "PENDING")
    assert parent_of(up) is not None
    rig.slurm.ask("scancel", job)
    rig.slurm.start_node(node)
    slurm.wait_until(lambda: not rig.left(job), "the epilog")
    assert ends(up)
    rig.slurm.wait_for_nodes()
