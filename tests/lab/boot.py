"""(Host, command) -> how it ended: the command's exit status, or that the machine was lost.

Nothing of a lab host outlives this process: the kernel kills QEMU when its parent dies, whatever it dies of.
"""

from __future__ import annotations

import os
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Protocol

from tests import speed
from tests.lab import pieces
from tests.lab.clock import tsc_khz
from tests.lab.hosts import Boots, Host
from tests.lab.initramfs import initramfs
from tests.lab.nudge import Nudge
from tests.lab.packages import Unavailable

LOST = 125  # the exit status that says: no verdict on the command, the machine was lost
INSIDE = "/run/lab"  # the folder of results, as the command sees it
GRACE = 300  # seconds that the machine may take beyond the command's own time: to boot and to end, on a fast machine
TICK = 0.1
MESSAGES = 25  # lines of the console in the sentence on a lost machine
# A monitor of QEMU is the machine's second serial port. The socket between them is in QEMU's own folder. It speaks QMP:
# the other kind repeats what it is told, and a terminal that echoes repeats that, without end.
MONITOR = (
    *("-chardev", "socket,id=monitor,path=monitor,server=on,wait=off", "-mon", "chardev=monitor,mode=control"),
    *("-chardev", "socket,id=second,path=monitor", "-device", "isa-serial,chardev=second"),
)


QMP = "qmp"  # another socket there, for those outside


class Sink(Protocol):
    """Where bytes go: a file, or somebody who reads them."""

    def write(self, content: bytes, /) -> object: ...

    def flush(self) -> object: ...


@dataclass(frozen=True)
class Job:
    """A command for a lab host, to run in `folder` for at most `seconds`."""

    words: tuple[str, ...]
    folder: Path
    seconds: int = 600
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    status: int  # the command's; 124 when its time was up; LOST
    lost: str  # empty, or a sentence
    seconds: float
    ready: float = 0.0  # seconds of the machine's own clock until the command started
    kernel: str = ""  # its release; empty when the machine never got so far


RECIPES = {Boots.ANY: pieces.OWN, Boots.OURS: pieces.OWN, Boots.COMPAT: pieces.COMPAT}


def kernel_for(host: Host) -> pieces.Kernel:
    recipe = RECIPES.get(host.boots)
    own = pieces.own_kernel(recipe) if recipe else None
    if recipe and own is None and host.boots is not Boots.ANY:
        raise Unavailable(f"this host needs a kernel of ours: `./dev lab kernel {recipe.name}` builds it")
    return own or pieces.distribution_kernel()


def run(host: Host, job: Job, work: Path, stdout: Sink | None = None, stderr: Sink | None = None) -> Ended:
    """Boot, run the command, pass its output on while it comes."""
    return follow(host, job, work, {"stdout": stdout, "stderr": stderr})


def follow(
    host: Host, job: Job, work: Path, sinks: Mapping[str, Sink | None], look: Callable[[], str] = lambda: ""
) -> Ended:
    """`sinks` are for files among the results. `work` is a new folder; its `lab` has the results, and may have
    something for the command already. `look` as in `watch`.
    """
    results = work / "lab"
    results.mkdir(parents=True, exist_ok=True)
    for name in ("stdout", "stderr", *sinks):
        (results / name).touch()
    (results / "command").write_text(_script(host, job))
    command = qemu_command(host, work, f"file:{work / 'console'}")
    seconds = job.seconds + speed.seconds(GRACE)
    return watch(command, work, seconds, [(results / name, sink) for name, sink in sinks.items()], look)


def qemu_command(host: Host, work: Path, serial: str) -> list[str]:
    """Also writes what QEMU reads: the initramfs and the disks."""
    kernel = kernel_for(host)
    (work / "initramfs").write_bytes(initramfs(host, kernel, pieces.busybox()))
    drives = []
    for disk in host.disks:
        with (work / disk).open("wb") as image:
            image.truncate(host.disk_mebibytes << 20)
        drives += ["-drive", f"if=none,id={disk},format=raw,file={work / disk}"]
    return [
        *_locked_interrupts(work),
        *(pieces.qemu(), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", serial),
        *(
            "-kernel",
            str(kernel.image),
            "-initrd",
            str(work / "initramfs"),
            "-append",
            f"{host.cmdline()} tsc_early_khz={tsc_khz()} watchdog_thresh={_lockup()}",
        ),
        *_share("files", Path("/"), "1e.0", ",readonly=on"),
        *_share("lab", work / "lab", "1d.0"),
        *drives,
        *("-cpu", pieces.processor(pieces.version_of_qemu())),
        *host.arguments(),
        *MONITOR,
        *("-qmp", f"unix:{QMP},server=on,wait=off"),
    ]


def _locked_interrupts(work: Path) -> list[str]:
    """Words before QEMU's that mend it where it can be: interrupts.c says what."""
    module = next(Path("/usr/lib").glob("*/qemu/accel-tcg-x86_64.so"), None)
    if module is None:
        return []
    target = work / "interrupts.so"
    options = ("-O2", "-shared", "-fPIC", f'-DMODULE="{module}"')
    subprocess.run(["gcc", *options, Path(__file__).parent / "interrupts.c", "-o", target], check=True)
    return ["env", f"LD_PRELOAD={target}"]


def _lockup() -> int:
    """Half of the seconds after which its kernel takes a processor for lost; 60 are the most that it allows."""
    return min(60, speed.seconds(30))


def start(command: list[str], said: IO[bytes], work: Path, *, terminal: bool = False) -> subprocess.Popen[bytes]:
    """A process that the kernel kills when this one dies. It has a session of its own: ^C is for us to act on."""
    return subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", *command],
        stdin=None if terminal else subprocess.DEVNULL,
        stdout=None if terminal else said,
        stderr=said,
        start_new_session=True,
        cwd=work,
    )


def watch(
    command: list[str],
    work: Path,
    seconds: float,
    flows: list[tuple[Path, Sink | None]],
    look: Callable[[], str] = lambda: "",
) -> Ended:
    """Wait for the machine to end, at most `seconds`, or until `look`, which is called all the time, says why not."""
    began = time.monotonic()
    copies = [_follow(path, sink) for path, sink in flows if sink]
    with (work / "qemu").open("wb") as said:
        machine = start(command, said, work)
    why, nudge = "", Nudge(work / QMP)
    try:
        while not has_ended(machine) and not why:
            nudge.give()
            for copy in copies:
                copy()
            why = look() or (f"was not done after {seconds:.0f} s" if time.monotonic() > began + seconds else "")
    finally:
        nudge.close()
        machine.kill()
        machine.wait()
    for copy in copies:
        copy()
    return verdict(work, why, time.monotonic() - began)


def has_ended(process: subprocess.Popen[bytes], seconds: float = TICK) -> bool:
    """Give it so much more."""
    pidfd = os.pidfd_open(process.pid)
    try:
        return bool(select.select([pidfd], [], [], seconds)[0])
    finally:
        os.close(pidfd)


def verdict(work: Path, why: str, seconds: float) -> Ended:
    """`why` it was ended by us, if it was. QEMU's own exit status says nothing: it is 0 after a panic too."""
    ready, _, kernel = _text(work / "lab" / "ready").strip().partition(" ")
    status = _text(work / "lab" / "status").strip()
    if status:
        return Ended(int(status), "", seconds, float(ready), kernel)
    how = f"{why}, and was ended" if why else "ended without a status"
    where = f"{ready} s after its start it began with the command" if ready else "it never got to the command"
    return Ended(
        LOST, f"the machine was lost: it {how}; {where}{_last_words(work)}", seconds, float(ready or 0), kernel
    )


def _last_words(work: Path) -> str:
    said = [line for name in ("qemu", "console") for line in _text(work / name).splitlines() if line.strip()]
    told = [line for line in said if "TCG doesn't support requested feature" not in line]
    panic = next((number for number, line in enumerate(told) if "Kernel panic" in line), len(told))
    first = min(panic, max(0, len(told) - MESSAGES))  # a panic's own trace may be longer than that
    return "".join(f"\n  | {line}" for line in told[first:][:MESSAGES])


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _follow(path: Path, sink: Sink) -> Callable[[], None]:
    """What was written to a file since the last call goes to `sink`."""
    source = path.open("rb")

    def copy() -> None:
        if content := source.read():
            sink.write(content)
            sink.flush()

    return copy


def _share(tag: str, path: Path, address: str, more: str = "") -> list[str]:
    folder = f"local,id={tag},path={path},security_model=none,multidevs=remap{more}"
    return ["-fsdev", folder, "-device", f"virtio-9p-pci,bus=pcie.0,addr={address},fsdev={tag},mount_tag={tag}"]


def environment() -> dict[str, str]:
    """What every command inside finds: the tree's own programs first. What Python compiles stays in memory."""
    return {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "TERM": "dumb",
        "PYTHONUNBUFFERED": "1",
    }


def preparation(host: Host) -> str:
    """Lines for the shell: those of the host's table, of which none may fail."""
    return "\n".join(("(set -e", *host.prepare, ") || exit", "")) if host.prepare else ""


def _script(host: Host, job: Job) -> str:
    limits = ("timeout", "--kill-after=5", str(job.seconds))
    return (
        f"cd {shlex.quote(str(job.folder))} || exit\n"
        f"exec </dev/null >{INSIDE}/stdout 2>{INSIDE}/stderr\n"
        f"{preparation(host)}"
        f"exec {with_environment(job.environment, *limits, *job.words)}\n"
    )


def with_environment(more: Mapping[str, str], *words: str) -> str:
    """A line for the shell: the command in the environment of every command inside, and `more`."""
    return shlex.join(["env", "-i", *(f"{name}={value}" for name, value in {**environment(), **more}.items()), *words])
