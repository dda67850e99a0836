"""What all tests share: payloads built from their source, and vmlaunch as its users run it."""

from __future__ import annotations

import gc
import itertools
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from launcher.cli import main
from tests import speed
from tests.budget import LONG

ROOT = Path(__file__).parent.parent
LAB = ROOT / "tests" / "lab"
EXAMPLES = ROOT / "examples"
PAYLOADS = ROOT / "tests" / "payloads"
STATE = Path("/run/vmlaunch") if os.geteuid() == 0 else Path(os.environ.get("XDG_RUNTIME_DIR", "/nowhere")) / "vmlaunch"
NOBODY = 65534
PATIENCE = speed.seconds(speed.PATIENCE)  # seconds until a test is stuck, not slow


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "kvm: needs /dev/kvm")
    config.addinivalue_line("markers", "long: belongs to ./dev test --long")
    os.environ.pop("GITHUB_ACTIONS", None)  # or each error would be an annotation, too
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # of a shell's job in the background
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:  # below nohup: a terminal that hangs up would end nobody
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


def pytest_pycollect_makemodule(module_path: Path) -> None:
    """Of no property the time is asserted. Who needs no hypothesis does not wait for its import."""
    if "from hypothesis import" in module_path.read_text(encoding="utf-8"):  # what a generator imports has no profile
        from hypothesis import HealthCheck, settings

        settings.register_profile("any machine", deadline=None, suppress_health_check=(HealthCheck.too_slow,))
        settings.load_profile("any machine")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _leave_out_long(config, items)
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(speed.limit(long=bool(item.get_closest_marker("long")))))
    _skip_without_kvm(items)


def _leave_out_long(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test is skipped for what the machine lacks, and left out if nobody asked for it. The lab sees to its own."""
    out = [item for item in items if item.get_closest_marker("long") and LAB not in item.path.parents and not LONG]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


def _skip_without_kvm(items: list[pytest.Item]) -> None:
    """A machine that truly has no /dev/kvm, or keeps it from us, cannot run these; the reason is printed."""
    if os.access("/dev/kvm", os.R_OK | os.W_OK):
        return
    reason = "/dev/kvm is " + ("not permitted" if Path("/dev/kvm").exists() else "not there")
    for item in items:
        if item.get_closest_marker("kvm"):
            item.add_marker(pytest.mark.skip(reason=reason))


BARE_METAL = (
    *("-m32", "-ffreestanding", "-fno-pie", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"),
    *("-mno-sse", "-mno-mmx", "-O1", "-Wall", "-Wextra", "-Werror"),
)


def assemble(source: Path, target: Path, *more: Path) -> Path:
    """A PVH payload from assembly source, by the commands that examples/hello.S names."""
    middle = target.with_suffix(".o")
    subprocess.run(["as", "--32", "-I", EXAMPLES, source, "-o", middle], check=True)
    script = ("-s", "-T", EXAMPLES / "payload.ld")
    subprocess.run(["ld", "-m", "elf_i386", "--no-warn-rwx-segments", *script, middle, *more, "-o", target], check=True)
    return target


def compiled(source: Path, target: Path) -> Path:
    """A PVH payload from C: its main() is called with the command line, by start.S."""
    middle = target.with_suffix(".c.o")
    subprocess.run(["gcc", *BARE_METAL, "-c", source, "-o", middle], check=True)
    return assemble(PAYLOADS / "start.S", target, middle)


@pytest.fixture(scope="session")
def payload(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The name of a source in tests/payloads -> its ELF, built once."""
    folder = tmp_path_factory.mktemp("payloads")

    def get(name: str) -> Path:
        target, source = folder / f"{name}.elf", PAYLOADS / f"{name}.c"
        if target.exists():
            return target
        return compiled(source, target) if source.exists() else assemble(PAYLOADS / f"{name}.S", target)

    return get


@dataclass
class Done:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Cli:
    """vmlaunch in processes of its own. `names` are the VMs it made, to be put down at the end."""

    folder: Path
    names: list[str] = field(default_factory=list)
    with_devices: dict[str, Any] = field(default_factory=dict)  # what each spec with devices has
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def command(self, *words: object) -> list[str]:
        return [sys.executable, "-m", "launcher", *map(str, words)]

    def run(self, *words: object, stdin: str | None = "", **more: Any) -> Done:
        done = subprocess.run(
            self.command(*words),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
            cwd=ROOT,
            **more,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *words: object, **more: Any) -> subprocess.Popen[str]:
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | more
        return subprocess.Popen(self.command(*words), text=True, cwd=ROOT, **pipes)

    def spec(self, kernel: Path, **fields: Any) -> Path:
        """A spec of one vCPU and 32 MiB unless `fields` say otherwise; its name is one nobody else has."""
        name = f"test-{os.getpid()}-{next(self._numbers)}"
        self.names.append(name)
        path = self.folder / f"{name}.yaml"
        whole = {"name": name, "boot": {"kernel": str(kernel)}, "cpus": 1, "memory": "32MiB"}
        whole |= (self.with_devices if "devices" in fields else {}) | fields
        path.write_text(json.dumps(whole))
        return path

    @property
    def name(self) -> str:
        return self.names[-1]

    @property
    def state(self) -> Path:
        return STATE / self.name

    def put_down(self) -> None:
        for name in self.names:
            self.run("down", "--kill", name)


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    """Its VMs are put down by this process: most have ended, and a Python of their own would take longer than that."""
    made = Cli(tmp_path)
    yield made
    for name in made.names:
        main(["down", "--kill", name])


OPENER = """
import os, sys
names, nodes = zip(*(pair.split("=") for pair in sys.argv[1].split(",")))
for n, path in enumerate(nodes, 200):
    os.dup2(os.open(path, os.O_RDWR), n, inheritable=False)
for n in range(len(nodes)):
    os.dup2(200 + n, 3 + n)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(nodes)), "LISTEN_FDNAMES": ":".join(names)}
os.execvp(sys.argv[2], sys.argv[2:])
"""


def handing(nodes: dict[str, object]) -> list[str]:
    """To be put before a command: opens these nodes for it and hands them in by their names."""
    return [sys.executable, "-c", OPENER, ",".join(f"{name}={path}" for name, path in nodes.items())]


def ordinary_user() -> list[str]:
    """To be put before a command. He may read what root may, for Python can be anywhere, and do nothing else."""
    ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    return ["setpriv", *ids, *(f"--{kind}-caps=-all,+dac_read_search" for kind in ("inh", "ambient"))]


def processes_of(pid: int) -> list[int]:
    """The children of a process, and theirs, oldest first."""
    parents = {one: parent_of(one) for one in map(int, filter(str.isdecimal, os.listdir("/proc")))}
    children = sorted(one for one, parent in parents.items() if parent == pid)
    return [one for child in children for one in (child, *processes_of(child))]


def parent_of(pid: int) -> int | None:
    """Not every kernel lists children."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def ends(pid: int) -> bool:
    """Wait for a process that is not ours to end; False when it is still there after PATIENCE."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([pidfd], [], [], PATIENCE)[0])
    finally:
        os.close(pidfd)


def comes_true(asked: Callable[[], bool]) -> bool:
    """Of what tells nobody when it changes."""
    patience = time.monotonic() + PATIENCE
    while not (found := asked()) and time.monotonic() < patience:
        pass
    return found


def kill(*pids: int) -> None:
    """All that are there now, also those that the death of another among them ends meanwhile."""
    with ExitStack() as stack:
        opened = [os.pidfd_open(pid) for pid in pids]
        for pidfd in opened:
            stack.callback(os.close, pidfd)
        for pidfd in opened:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)


@pytest.fixture(scope="module", autouse=True)
def _nothing_open_of_modules_before() -> None:
    """Sockets in cycles of garbage would close while a test counts descriptors.

    What is left is not looked at again: 200,000 objects of thousands of tests, which each child would copy to do so.
    """
    gc.collect()
    gc.freeze()
