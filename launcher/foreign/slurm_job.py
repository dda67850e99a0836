"""A Job in, the script that sbatch takes out; and what each node does before and after one. Pure.

The script does not `exec`: exit codes 1 and 10 of vmlaunch mean that this host cannot run the VM now, and the job is
put back into the queue with the host excluded.
"""

from __future__ import annotations

import re
from collections import defaultdict

from launcher.foreign.job import GRACE
from launcher.foreign.units import HUGE, huge_name, runs
from launcher.shell import quote
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from launcher.foreign.job import Job

STATE = "/run/vmlaunch-jobs"  # where users' VMs keep theirs: a job has no XDG_RUNTIME_DIR
_NODE = "node=$(printf %s \"$SLURMD_NODENAME\" | tr 'A-Z._' 'a-z--' | cut -c 1-30)"


def script(job: Job) -> str:
    return "\n".join((*_head(job), "", *_body(job))) + "\n"


def _head(job: Job) -> Iterator[str]:
    yield "#!/bin/bash"
    yield "# By `vmlaunch place --format slurm`."
    yield from (f"# {one}" for one in job.told)
    yield f"#SBATCH --job-name={job.name}"
    yield "#SBATCH --nodes=1 --ntasks=1"
    yield f"#SBATCH --cpus-per-task={job.cpus}"
    yield f"#SBATCH --mem={job.mebibytes}M"
    if gres := _gres(job):
        yield f"#SBATCH --gres={gres}"
    if job.others:
        yield f"#SBATCH --exclude={names(job.others)}"
    yield f"#SBATCH --signal=B:TERM@{GRACE}"
    yield "#SBATCH --requeue --open-mode=append"
    yield "#SBATCH --output=%x-%j.out"


def _gres(job: Job) -> str:
    devices = [":".join(filter(None, (one.kind, one.type, str(one.count)))) for one in job.wants]
    return ",".join((*devices, *(f"{HUGE}:{huge_name(size)}:{count}" for size, count in job.huge.items())))


def _body(job: Job) -> Iterator[str]:
    words = [f"--set {quote(one)}" for one in job.sets]
    command = " ".join(("vmlaunch up", quote(job.spec), "--only env", *words, '--set "name=$vm"'))
    yield from (
        "# The VM is called NAME-JOB-NODE: a node that was lost may still run it when another one starts it.",
        _NODE,
        f"name={quote(job.name)}",
        'vm="${name:0:$((61 - ${#SLURM_JOB_ID} - ${#node}))}-$SLURM_JOB_ID-$node"',
        f'[ "$(id -u)" = 0 ] || export XDG_RUNTIME_DIR="{STATE}/$SLURM_JOB_ID"',
        "",
        f"{command} </dev/null &",
        "up=$!",
        "again=1",
        "trap 'again=1; kill -TERM \"$up\"' TERM INT  # which ends a `wait`, too",
        'while [ "$again" ]; do again=; wait "$up"; code=$?; done',
        "",
        "# 1: refused, 10: the host is another than was planned for. Nothing was changed: elsewhere.",
        'if [ "$code" = 1 ] || [ "$code" = 10 ]; then',
        "    trap '' TERM INT  # requeue ends this script",
        '    before=$(scontrol show job "$SLURM_JOB_ID" | sed -n "s/.*ExcNodeList=\\([^ ]*\\).*/\\1,/p")',
        '    [ "$before" != "(null)," ] || before=',
        '    scontrol requeue "$SLURM_JOB_ID" &&',
        '        scontrol update JobId="$SLURM_JOB_ID" ExcNodeList="$before$SLURMD_NODENAME"',
        "fi",
        'exit "$code"',
    )


def prolog() -> str:
    """By root, before a job."""
    return f"""\
#!/bin/sh
# By `vmlaunch devices --format prolog`, for `Prolog` in slurm.conf (with PrologFlags=Alloc): a folder for the state of
# VMs of this job's user. Root's are in /run/vmlaunch.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
[ "$SLURM_JOB_UID" = 0 ] && exit 0
mkdir -p -m 711 {STATE} &&
    install -d -m 700 -o "$SLURM_JOB_UID" "{STATE}/$SLURM_JOB_ID"
"""


def epilog() -> str:
    """By root, after a job, whatever became of it; again it does no harm."""
    return f"""\
#!/bin/bash
# By `vmlaunch devices --format epilog`, for `Epilog` in slurm.conf: VMs of this job are ended and the host is put back,
# whatever became of the job. What fails here drains the node: the host is not as it was.
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
{_NODE}
code=0
if [ "$SLURM_JOB_UID" = 0 ]; then
    for folder in /run/vmlaunch/*-"$SLURM_JOB_ID-$node"; do
        [ ! -e "$folder" ] || vmlaunch down -i --kill "${{folder##*/}}" || code=$?
    done
else
    state={STATE}/$SLURM_JOB_ID
    if [ -d "$state" ]; then
        runuser -u "$SLURM_JOB_USER" -- env PATH="$PATH" XDG_RUNTIME_DIR="$state" vmlaunch down --all --kill || code=$?
        [ "$code" != 0 ] || rm -rf --one-file-system "$state"
    fi
fi
exit "$code"
"""


def names(every: Iterable[str]) -> str:
    """As Slurm writes them: node[01-03,07],login."""
    found: dict[tuple[str, int, str], list[int]] = defaultdict(list)
    for one in sorted(every):
        ((head, number, tail),) = re.findall(r"\A(.*?)(\d{0,9})(\D*)\Z", one)
        found[(head, len(number), tail)].append(int(number or 0))
    return ",".join(_folded(*key, numbers) for key, numbers in found.items())


def _folded(head: str, width: int, tail: str, numbers: list[int]) -> str:
    if len(numbers) == 1 or not width:
        return f"{head}{numbers[0]:0{width}}{tail}" if width else f"{head}{tail}"
    padded = re.sub(r"\d+", lambda one: f"{int(one[0]):0{width}}", runs(numbers))
    return f"{head}[{padded}]{tail}"
