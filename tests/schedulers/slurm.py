"""A Slurm of a few nodes on this machine, made from facts of hosts: munged, slurmctld and a slurmd for each node.

Its sockets, ports and folders are its own. Its processes end by pid, and with who started them.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests import speed

PROGRAMS = ("munged", "slurmctld", "slurmd", "scontrol", "sbatch", "scancel", "squeue")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
STUCK = 60  # seconds on a fast machine
DEAD_NODE = 5  # seconds without a word until a node is lost

CONF = """\
ClusterName=vmlaunch
SlurmctldHost={hostname}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=10
SlurmdTimeout={dead}
MinJobAge=3600
FirstJobId={first}
MaxJobCount=1000
JobRequeue=1
Prolog={folder}/prolog
Epilog={folder}/epilog
PrologFlags=Alloc
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=0,bf_continue
PriorityType=priority/basic
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MailProg=/bin/true
include {folder}/nodes.conf
PartitionName=vms Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def missing() -> str:
    """Why there can be none here; empty: there can."""
    if os.geteuid() != 0:
        return "starting slurmd takes root"
    lacking = [one for one in PROGRAMS if shutil.which(one, path=PATH) is None]
    return f"not installed: {', '.join(lacking)} (slurmctld slurmd slurm-client munge)" if lacking else ""


@dataclass
class Slurm:
    """`folder` has its files; `nodes` are their names, each with a slurmd."""

    folder: Path
    nodes: tuple[str, ...]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        mine = {name: value for name, value in os.environ.items() if not name.startswith("SLURM")}
        return mine | {"SLURM_CONF": str(self.folder / "slurm.conf"), "PATH": f"{self.folder}:{PATH}"}

    def ask(self, *words: str | Path) -> str:
        done = subprocess.run(words, env=self.environment, capture_output=True, text=True, check=False, cwd=self.folder)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, words))}: {done.stderr or done.stdout}")
        return done.stdout

    def submit(self, script: Path, *words: str) -> str:
        return self.ask("sbatch", "--parsable", *words, script).strip()

    def job(self, number: str) -> dict[str, str]:
        """What scontrol says of it, by key."""
        return dict(re.findall(r"(\S+?)=(\S*)", self.ask("scontrol", "show", "job", "-d", number)))

    def jobs(self) -> list[dict[str, str]]:
        lines = self.ask("scontrol", "show", "job", "-d", "-o").splitlines()
        return [dict(re.findall(r"(\S+?)=(\S*)", one)) for one in lines if one.startswith("JobId=")]

    def wait_for(self, number: str, *states: str) -> dict[str, str]:
        wait_until(lambda: self.job(number)["JobState"] in states, f"job {number} to be {states}")
        return self.job(number)

    def start_node(self, name: str) -> None:
        (self.folder / "spool" / name).mkdir(parents=True, exist_ok=True)
        self._start(name, "slurmd", "-D", "-N", name, "-f", self.folder / "slurm.conf")

    def kill_node(self, name: str) -> None:
        """slurmd alone: its jobs go on."""
        process = self.running.pop(name)
        process.kill()
        process.wait()

    def wait_for_nodes(self) -> None:
        wait_until(lambda: self.ask("sinfo", "-h", "-N", "-o", "%T").split() == ["idle"] * len(self.nodes), "nodes")

    def _start(self, name: str, *words: str | Path) -> None:
        with (self.folder / f"{name}.out").open("ab") as out:
            self.running[name] = subprocess.Popen(
                ("setpriv", "--pdeathsig", "TERM", *words),
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                start_new_session=True,
            )

    def stop(self) -> None:
        for name in reversed([*self.running]):
            process = self.running.pop(name)
            process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            if process.poll() is None:
                process.kill()
                process.wait()


@contextmanager
def cluster(folder: Path, nodes_conf: str, gres_conf: str, scripts: Mapping[str, str]) -> Iterator[Slurm]:
    """`nodes_conf` and `gres_conf` are what `devices --format` writes. All nodes are on this machine, so each gets a
    port, and the files that gres.conf names are made below the folder.

    `scripts`: prolog and epilog.
    """
    names = tuple(re.findall(r"^NodeName=(\S+)", nodes_conf, re.MULTILINE))
    ports = _free_ports(len(names) + 1)
    (folder / "nodes.conf").write_text(_at_home(nodes_conf, ports[1:]))
    (folder / "gres.conf").write_text(_files(gres_conf, folder / "devices"))
    first = os.getpid() * 1000 % 60_000_000 + 1000  # others may have a Slurm here, and VMs have the numbers of jobs
    head = {"hostname": socket.gethostname(), "port": ports[0], "folder": folder, "first": first, "dead": DEAD_NODE}
    (folder / "slurm.conf").write_text(CONF.format(**head))
    for name, text in scripts.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    slurm = Slurm(folder, names)
    with ExitStack() as ends:
        ends.callback(slurm.stop)
        _start(slurm)
        yield slurm


def _start(slurm: Slurm) -> None:
    folder = slurm.folder
    (folder / "state").mkdir()
    munge = folder / "munge"
    munge.mkdir(mode=0o700)
    (munge / "key").write_bytes(os.urandom(128))
    (munge / "key").chmod(0o400)
    files = {"socket": "socket", "key-file": "key", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
    words = [f"--{option}={munge / file}" for option, file in files.items()]
    slurm._start("munged", "munged", "--foreground", "--force", *words)
    wait_until((munge / "socket").exists, "munged")
    slurm._start("slurmctld", "slurmctld", "-D", "-c", "-f", folder / "slurm.conf")
    for name in slurm.nodes:
        slurm.start_node(name)
    wait_until(lambda: _answers(slurm), "slurmctld")
    slurm.wait_for_nodes()


def _answers(slurm: Slurm) -> bool:
    with suppress(RuntimeError):
        return "is UP" in slurm.ask("scontrol", "ping")
    return False


def wait_until(asked: Callable[[], bool], what: str) -> None:
    """Of what tells nobody when it changes, as jobs and nodes. Many ask at once, so there is a pause between."""
    end = time.monotonic() + speed.seconds(STUCK)
    while not asked():
        if time.monotonic() > end:
            raise TimeoutError(f"waited in vain for {what}")
        time.sleep(0.2)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _at_home(text: str, ports: list[int]) -> str:
    here, left = f"NodeHostname={socket.gethostname()} NodeAddr=127.0.0.1", iter(ports)
    return re.sub(r"^(NodeName=\S+)", lambda found: f"{found[1]} {here} Port={next(left)}", text, flags=re.MULTILINE)


def _files(gres: str, root: Path) -> str:
    """slurmd does not start where one is missing, and these are devices of other machines."""

    def placed(found: re.Match[str]) -> str:
        file = root / found[1] / Path(found[3]).name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        return f"NodeName={found[1]}{found[2]}File={file}"

    return re.sub(r"^NodeName=(\S+)(.*?)File=(\S+)", placed, gres, flags=re.MULTILINE)
