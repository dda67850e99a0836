"""Engines of disks as they are: started, shut in, served by, ended, killed, looked for by who has the journal only."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from launcher.errors import StepFailed
from launcher.executor.keeper import engines
from launcher.kernel.real import RealKernel
from launcher.plan.virtio import Image, ImageFormat, ServedDisk, StartDiskEngine
from tests.conftest import ends
from tests.name_spaces import needs_name_spaces
from tests.vhost_user_client import Client

QSD = shutil.which("qemu-storage-daemon") or ""
OTHER = 12345  # somebody who is nobody here
pytestmark = [pytest.mark.skipif(not QSD, reason="there is no qemu-storage-daemon"), needs_name_spaces]
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's engines have other uids")
SECTOR = 512
MAPS = 1 << 20  # of guest memory


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[RealKernel]:
    """Whatever a test starts has ended."""
    made, folder = RealKernel(), tmp_path / "vm"
    folder.mkdir(mode=0o700)
    made.folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    yield made
    made.close_ends()
    for one in made.engines:
        one.end(made.waits)
    os.close(made.folder)


def image(path: Path, format_: ImageFormat = "raw", owner: int | None = None) -> Image:
    if not path.exists():
        path.write_bytes(bytes(range(256)) * 2 + bytes(1 << 20))
    if owner is not None:
        os.chown(path, owner, owner)
        path.chmod(0o600)
    status = path.stat()
    return Image(str(path), format_, f"{status.st_dev}:{status.st_ino}")


def disk(*images: Image, alias: str = "root", readonly: bool = False) -> ServedDisk:
    return ServedDisk(alias, images, readonly, discard=True, queues=1)


def step(*disks: ServedDisk, program: str = QSD, uid: int | None = None) -> StartDiskEngine:
    own = os.getuid() if uid is None else uid
    return StartDiskEngine(program, own, own if uid is not None else os.getgid(), disks, MAPS)


def started(kernel: RealKernel, one: StartDiskEngine) -> engines.Started:
    memory = json.loads(json.dumps(engines.prepare(one, kernel)))
    engines.start(one, kernel)
    return engines.read_memory(memory)


def client(kernel: RealKernel, alias: str = "root", queue: int = 0) -> Client:
    return Client(os.dup(kernel.ends[alias]), queue)


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (one.partition(":") for one in lines)}


def fails(kernel: RealKernel, one: StartDiskEngine) -> StepFailed:
    with pytest.raises(StepFailed) as failed:
        started(kernel, one)
    return failed.value


def test_a_disk_is_read_and_written_and_what_was_written_is_on_the_file(kernel: RealKernel, tmp_path: Path) -> None:
    path = tmp_path / "a,b=c\n{d}"
    first = started(kernel, step(disk(image(path))))
    with closing(client(kernel)) as guest:
        assert guest.read(0, SECTOR) == bytes(range(256)) * 2
        assert guest.write(1, b"x" * SECTOR) == 0
    engines.end(first, kernel)
    assert path.read_bytes()[SECTOR : 2 * SECTOR] == b"x" * SECTOR


def qcow2(path: Path, size: int, backing: bytes) -> Path:
    """An empty one of version 2: header, table and block of reference counts, table of the first level."""
    cluster, count = 1 << 16, 4
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 72, len(backing), 16, size, 0, 1, 3 * cluster, cluster, 1, 0, 0
    )
    table, counts = struct.pack(">Q", 2 * cluster), struct.pack(">H", 1) * count
    parts = (header + backing, table, counts, b"")
    path.write_bytes(b"".join(one.ljust(cluster, b"\0") for one in parts))
    return path


def test_a_chain_of_qcow2_is_served_by_descriptors_whatever_its_header_names(
    kernel: RealKernel, tmp_path: Path
) -> None:
    under = image(tmp_path / "base.raw")
    top = qcow2(tmp_path / "top.qcow2", 1 << 20, b"/etc/passwd")
    first = started(kernel, step(disk(image(top, "qcow2"), under)))
    with closing(client(kernel)) as guest:
        assert guest.read(0, SECTOR) == bytes(range(256)) * 2
        assert guest.write(0, b"y" * SECTOR) == 0
    engines.end(first, kernel)
    assert Path(under.path).read_bytes()[:SECTOR] == bytes(range(256)) * 2
    started(kernel, step(disk(image(top, "qcow2"), under)))  # and by then the tables of the first are on the file
    with closing(client(kernel)) as guest:
        assert guest.read(0, SECTOR) == b"y" * SECTOR
        assert guest.read(1, SECTOR) == bytes(SECTOR)


def test_a_disk_that_is_only_read_is_not_written(kernel: RealKernel, tmp_path: Path) -> None:
    path = tmp_path / "seed"
    started(kernel, step(disk(image(path), readonly=True)))
    with closing(client(kernel)) as guest:
        assert guest.write(0, b"x" * SECTOR) != 0
        assert guest.read(0, SECTOR) == bytes(range(256)) * 2


def test_one_engine_serves_two_disks(kernel: RealKernel, tmp_path: Path) -> None:
    """Which have one serial number: no version of it passes one on."""
    started(kernel, step(disk(image(tmp_path / "a"), alias="root"), disk(image(tmp_path / "b"), alias="data")))
    assert len(kernel.engines) == 1
    for alias in ("root", "data"):
        with closing(client(kernel, alias)) as guest:
            assert guest.read(0, SECTOR) == bytes(range(256)) * 2
            assert guest.identity() == b"vhost_user_blk"


def test_an_engine_has_no_rights_and_nothing_open_but_what_it_serves(kernel: RealKernel, tmp_path: Path) -> None:
    started(kernel, step(disk(image(tmp_path / "a"))))
    engine = kernel.engines[0]
    status = status_of(engine.pid)
    bound = ["CapBnd"] if os.geteuid() == 0 else []  # nobody else may take from it, and no_new_privs does without
    rights = [status[name] for name in ("CapPrm", "CapEff", "CapInh", "CapAmb", *bound)]
    assert (status["NoNewPrivs"], {int(one, 16) for one in rights}) == ("1", {0})
    assert set(engine.measures.values()) == {"on"}
    assert {"landlock", "seccomp", "no_new_privs", "no_capabilities"} == set(engine.measures)
    opened = [os.readlink(one.path) for one in os.scandir(f"/proc/{engine.pid}/fd")]
    files = {one for one in opened if one.startswith("/")}
    assert files == {os.devnull, str(tmp_path / "a")}
    assert os.getsid(engine.pid) == engine.pid
    assert os.listdir(tmp_path / "vm") == []


@as_root
def test_the_engine_of_somebodys_images_is_that_user_and_its_keeper_may_end_it(
    kernel: RealKernel, tmp_path: Path
) -> None:
    """In a folder that the user may not even enter."""
    hidden = tmp_path / "hidden"
    hidden.mkdir(mode=0o700)
    first = started(kernel, step(disk(image(hidden / "disk", owner=OTHER)), uid=OTHER))
    status = status_of(first.pid)
    assert (status["Uid"].split(), status["Gid"].split(), status["Groups"]) == ([str(OTHER)] * 4, [str(OTHER)] * 4, "")
    with closing(client(kernel)) as guest:
        assert guest.write(3, b"z" * SECTOR) == 0
    engines.end(first, kernel)
    assert (hidden / "disk").read_bytes()[3 * SECTOR : 4 * SECTOR] == b"z" * SECTOR


# A keeper of its own: it starts an engine, gives up what a keeper gives up, and says who is who.
KEEPER = """
import json, os, signal, sys
from pathlib import Path
from launcher.executor.keeper import engines
from launcher.kernel import confine
from launcher.kernel.real import RealKernel
from tests.unit.executor.keeper.test_engines import disk, image, step, started
kernel, folder, path, uid = RealKernel(), Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
kernel.folder = os.open(folder, os.O_RDONLY)
first = started(kernel, step(disk(image(path)), uid=uid))
kernel.take_user()
hears, tells = os.pipe()
runner = os.fork()
if runner == 0:  # until its keeper has gone
    os.close(tells)
    os.closerange(0, 3)
    os.read(hears, 1)
    os._exit(0)
given = confine.give_up(folder, (), runner, (os.pidfd_open(runner), *(one.pidfd for one in kernel.engines)))
print(json.dumps([first.program, first.pid, first.began, runner, given.measures]), flush=True)
for line in sys.stdin:
    engines.end(first, kernel)
    print(json.dumps(kernel.engines[0].status), flush=True)
os.kill(runner, signal.SIGKILL)
"""


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Callable[[int], tuple[subprocess.Popen[str], engines.Started, int]]]:
    begun: list[subprocess.Popen[str]] = []

    def begin(uid: int) -> tuple[subprocess.Popen[str], engines.Started, int]:
        folder = tmp_path / "keeper"
        folder.mkdir(mode=0o700)
        image(tmp_path / "disk", owner=uid if os.geteuid() == 0 else None)
        words = [sys.executable, "-c", KEEPER, str(folder), str(tmp_path / "disk"), str(uid)]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout
        *first, runner, measures = json.loads(process.stdout.readline())
        assert set(measures.values()) == {"on"}
        return process, engines.Started(*first), runner

    yield begin
    for one in begun:
        one.kill()
        one.communicate()


def owners() -> list[int]:
    return [0, OTHER] if os.geteuid() == 0 else [os.getuid()]


@pytest.mark.parametrize("uid", owners())
def test_a_keeper_without_rights_ends_its_engine(
    uid: int, keeper: Callable[[int], tuple[subprocess.Popen[str], engines.Started, int]]
) -> None:
    process, _, _ = keeper(uid)
    assert process.stdin
    assert process.stdout
    process.stdin.write("end\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline()) == 0


@pytest.mark.parametrize("uid", owners())
def test_a_keeper_that_is_killed_takes_its_engine_with_it(
    uid: int, keeper: Callable[[int], tuple[subprocess.Popen[str], engines.Started, int]]
) -> None:
    process, engine, runner = keeper(uid)
    pidfd = os.pidfd_open(engine.pid)
    process.kill()
    assert RealKernel().waits(pidfd, 20, "")
    os.close(pidfd)
    assert ends(runner)


def test_who_has_only_the_journal_ends_an_engine_that_lives(kernel: RealKernel, tmp_path: Path) -> None:
    first = started(kernel, step(disk(image(tmp_path / "a"))))
    another = RealKernel()
    engines.end(first, another)
    assert kernel.engines[0].is_gone


def test_a_process_that_has_the_pid_by_now_is_not_touched(kernel: RealKernel, tmp_path: Path) -> None:
    first = started(kernel, step(disk(image(tmp_path / "a"))))
    engines.end(engines.Started(first.program, first.pid, first.began + 1), RealKernel())
    assert not kernel.engines[0].is_gone


@pytest.mark.parametrize(
    "kept",
    [{}, {"program": "/bin/x", "pid": 1, "began": 5}, {"program": "/bin/x", "pid": -1, "began": 5}, {"pid": "x"}],
)
def test_a_journal_that_names_an_odd_process_is_not_believed(kept: dict[str, object]) -> None:
    with pytest.raises(OSError, match="not one of ours"):
        engines.read_memory(kept)


def test_an_image_that_was_swapped_is_refused(kernel: RealKernel, tmp_path: Path) -> None:
    planned = image(tmp_path / "a")
    (tmp_path / "b").write_bytes(bytes(1 << 20))
    (tmp_path / "b").rename(tmp_path / "a")
    failed = fails(kernel, step(disk(planned)))
    assert failed.diagnostics[0].code == "E563"
    assert not kernel.engines


def test_an_image_that_is_swapped_behind_the_check_is_not_what_is_opened(kernel: RealKernel, tmp_path: Path) -> None:
    one = step(disk(image(tmp_path / "a")))
    engines.prepare(one, kernel)
    (tmp_path / "a").rename(tmp_path / "was-a")
    (tmp_path / "a").write_bytes(b"other" + bytes(1 << 20))
    engines.start(one, kernel)
    with closing(client(kernel)) as guest:
        assert guest.read(0, SECTOR) == bytes(range(256)) * 2


def test_an_image_that_another_vm_writes_is_refused_until_that_has_gone(kernel: RealKernel, tmp_path: Path) -> None:
    first = started(kernel, step(disk(image(tmp_path / "a"))))
    for readonly in (False, True):
        one = step(disk(image(tmp_path / "a"), alias="other", readonly=readonly))
        assert fails(kernel, one).diagnostics[0].code == "E567"
    engines.end(first, kernel)
    started(kernel, step(disk(image(tmp_path / "a"))))


def test_many_may_read_an_image_that_nobody_writes(kernel: RealKernel, tmp_path: Path) -> None:
    for alias in ("one", "two"):
        started(kernel, step(disk(image(tmp_path / "a"), alias=alias, readonly=True)))
    assert fails(kernel, step(disk(image(tmp_path / "a")))).diagnostics[0].code == "E567"


def test_an_engine_that_refuses_its_image_says_why_in_the_words_of_the_plan(kernel: RealKernel, tmp_path: Path) -> None:
    path = tmp_path / "none.qcow2"
    found = fails(kernel, step(disk(image(path, "qcow2")))).diagnostics[0]
    assert found.code == "E561"
    assert "exited with status 1 before it served anything" in found.message
    assert any("not in qcow2 format" in one for one in found.evidence)
    assert not any("/proc/self" in one for one in found.evidence)


def test_a_program_that_is_none_is_told(kernel: RealKernel, tmp_path: Path) -> None:
    found = fails(kernel, step(disk(image(tmp_path / "a")), program=str(tmp_path / "none"))).diagnostics[0]
    assert found.code == "E561"
    assert "No such file or directory" in found.message


# As in a container that has one uid: what is served, or how the step failed.
ALONE = """
import json, os, sys
from pathlib import Path
from launcher.errors import StepFailed
from launcher.executor.keeper import engines
from launcher.kernel.real import RealKernel
from tests.unit.executor.keeper.test_engines import disk, image, step, started
kernel = RealKernel()
kernel.folder = os.open(sys.argv[1], os.O_RDONLY)
Path("/proc/sys/user/max_user_namespaces").write_text(sys.argv[2])
try:
    engines.end(started(kernel, step(disk(image(Path(sys.argv[1]) / "disk")), uid=0)), kernel)
    print(json.dumps(["ended", kernel.engines[0].status]))
except StepFailed as failed:
    print(json.dumps([failed.diagnostics[0].code, failed.diagnostics[0].help]))
"""


@pytest.mark.parametrize(
    ("most", "told"), [("10", ["ended", 0]), ("0", ["E561", list(engines.NO_NAME_SPACES)])], ids=["one uid", "none"]
)
def test_root_of_a_container_has_engines_where_it_may_have_name_spaces(
    tmp_path: Path, most: str, told: list[object]
) -> None:
    words = ["unshare", "-r", sys.executable, "-c", ALONE, str(tmp_path), most]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if "Operation not permitted" in done.stderr and not done.stdout:
        pytest.skip("no name space of users is to be had")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == told


def test_an_engine_is_not_left_when_its_step_fails(kernel: RealKernel, tmp_path: Path) -> None:
    """Prepared and not begun: its keeper closes the socket, or dies."""
    engines.prepare(step(disk(image(tmp_path / "a"))), kernel)
    engine = kernel.engines[0]
    engine.end(kernel.waits)
    assert engine.status is not None


def test_a_socket_of_the_engine_has_no_name_when_it_runs(kernel: RealKernel, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:  # of a keeper that was killed at this very moment
        left.bind(str(tmp_path / "vm" / "engine.sock"))
    started(kernel, step(disk(image(tmp_path / "a"))))
    assert os.listdir(tmp_path / "vm") == []
