"""What jobs run as `vmlaunch` on a node that is a recorded host: its plan is made on the facts of that host, and the
guest that then starts is a real one without devices.

`up` notes what the plan takes, and holds a lock on each of these devices while the guest runs: who does not get it has
been given a device that another job has.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

RIG = Path(os.environ["SLURM_CONF"]).parent
VMLAUNCH = (sys.executable, "-m", "launcher")
CLASH = 99


def main(words: list[str]) -> int:
    if words[0] != "up":
        return subprocess.run([*VMLAUNCH, *words], check=False).returncode
    node = os.environ["SLURMD_NODENAME"]
    code, taken = _planned(words[1:], node)
    locks = [(RIG / "locks" / f"{node}-{one}").open("w") for one in taken]
    try:
        for lock in locks:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        code = CLASH
    _note(node=node, code=code, taken=taken)
    return code or _run(words[1:])


def _planned(words: list[str], node: str) -> tuple[int, list[str]]:
    command = [*VMLAUNCH, "plan", *words, "--host", str(RIG / "hosts" / f"{node}.json"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr)
        return done.returncode, []
    return 0, [one["host"] for one in json.loads(done.stdout)["devices"]]


def _run(words: list[str]) -> int:
    """The guest has the name of the job's VM; whoever signals the job signals it, too."""
    name = next(one for one in words if one.startswith("name="))
    guest = RIG / "guests" / Path(words[0]).name
    process = subprocess.Popen([*VMLAUNCH, "up", str(guest), "--set", name])
    signal.signal(signal.SIGTERM, lambda *_: process.send_signal(signal.SIGTERM))
    pid = RIG / "pids" / f"{os.environ['SLURM_JOB_ID']}.new"
    pid.write_text(str(process.pid))
    pid.rename(pid.with_suffix(""))
    return process.wait()


def _note(**said: object) -> None:
    with (RIG / "told").open("a") as file:  # a line is one write
        file.write(json.dumps({"job": os.environ["SLURM_JOB_ID"], **said}) + "\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
