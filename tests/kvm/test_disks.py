"""A virtio disk on the real /dev/kvm, with a real engine: a driver that is honest, and one that means no good."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launcher.machine.vfat import SECTOR, vfat
from launcher.values import guest_uuid
from launcher.vms.looking import wait_until_down
from tests.budget import LONG
from tests.conftest import PATIENCE, Cli, kill
from tests.disk_images import STORAGE_DAEMON, lettered, qcow2, storage_daemon
from tests.name_spaces import needs_name_spaces
from tests.vm_with_disk import Payload, begun

pytestmark = [
    pytest.mark.kvm,
    needs_name_spaces,
    pytest.mark.skipif(storage_daemon() is None, reason=f"there is no {STORAGE_DAEMON}"),
    pytest.mark.usefixtures("no_engine_left"),
]
MANY = 10_000 if LONG else 200
ENDED_BY_ENGINE = re.compile(rf"error\[E5(60|71)\]: {STORAGE_DAEMON}, which served root")


def engines() -> dict[int, list[str]]:
    """Storage daemons and their words."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if words[0].endswith(STORAGE_DAEMON):
            found[int(process.name)] = words
    return found


@pytest.fixture
def no_engine_left(tmp_path: Path) -> Iterator[None]:
    """None that has a file of this test open: others of this machine may have theirs."""
    yield
    assert [pid for pid in engines() if any(tmp_path in one.parents for one in opened(pid))] == []


def opened(pid: int) -> set[Path]:
    try:
        return {one.readlink() for one in Path(f"/proc/{pid}/fd").iterdir()}
    except OSError:
        return set()


def spec(cli: Cli, payload: Payload, image: object, what: str, driver: str = "blocks", **more: Any) -> Path:
    boot = {"kernel": str(payload(driver)), "cmdline": what}
    return cli.spec(Path("replaced"), boot=boot, disks={"root": image}, **more)


def test_a_guest_reads_its_disk(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    done = cli.run("up", spec(cli, payload, str(lettered(tmp_path / "root.img")), "reads 30"))
    assert done.code == 0, done.err
    letters = [*range(65, 91), *range(65, 69)]
    assert done.out == "".join(f"block {one}\n" for one in letters) + "tried 30\nhonest read 65\n"


def test_a_guest_reads_what_an_image_is_based_on(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    image = qcow2(tmp_path / "root.qcow2", 1 << 20, lettered(tmp_path / "base.img"))
    done = cli.run("up", spec(cli, payload, str(image), "reads 3"))
    assert done.code == 0, done.err
    assert done.out == "block 65\nblock 66\nblock 67\ntried 3\nhonest read 65\n"


def test_a_guest_reads_what_cloud_init_is_to_find_and_nothing_of_it_is_left(
    cli: Cli, payload: Payload, tmp_path: Path
) -> None:
    """Of each sector its first byte; what is behind the end of the disk cannot be read. The text is made so that those
    of the file differ."""
    text = "#cloud-config\n" + "".join(f"# {letter * 509}\n" for letter in "abcdefghijklmnopqrstuvwxyz")
    (tmp_path / "user-data").write_text(text[:14] + text[14:].replace("# ", "#"))
    boot = {"kernel": str(payload("blocks")), "cmdline": "reads 86"}
    seed = {"cloud-init": {"user-data": str(tmp_path / "user-data")}}
    up = cli.spec(Path("replaced"), boot=boot, **seed)
    meta = f"instance-id: {guest_uuid(cli.name)}\nlocal-hostname: {cli.name}\n"
    disk = vfat("CIDATA", {"user-data": (tmp_path / "user-data").read_bytes(), "meta-data": meta.encode()})
    done = cli.run("up", up)
    assert done.code == 0, done.err
    read = [int(one) for one in re.findall(r"block (\d+)", done.out)]
    assert read == [disk[at] for at in range(0, len(disk), SECTOR)]
    assert len(set(read)) > 20


@pytest.mark.parametrize("what", ["outside 12", f"midway {MANY}", f"toggles {MANY}", "forgotten 20"])
def test_a_driver_that_means_no_good_gets_a_device_that_works_when_it_is_reset(
    cli: Cli, payload: Payload, tmp_path: Path, what: str
) -> None:
    up = cli.start("up", spec(cli, payload, str(lettered(tmp_path / "root.img")), what))
    out, err = up.communicate(timeout=PATIENCE * (4 if LONG else 1))  # of ten thousand each waits for its engine
    assert up.returncode == 0, out + err
    assert out.endswith(f"tried {what.split()[1]}\nhonest read 65\n"), out


@pytest.mark.parametrize("what", ["wrapped 20", "requests 20", f"registers {50 * MANY}"])
def test_what_an_engine_makes_of_nonsense_in_a_ring_ends_in_order(
    cli: Cli, payload: Payload, tmp_path: Path, what: str
) -> None:
    """It may hang up or go on: the VM says which, and nothing is left."""
    image = lettered(tmp_path / "root.img")
    before = image.read_bytes()
    done = cli.run("up", spec(cli, payload, str(image), what))
    if done.code == 0:
        assert "read 65" in done.out, done.out
    else:
        assert done.code == 11, done.err
        assert ENDED_BY_ENGINE.search(done.err), done.err
    wait_until_down(cli.state)
    assert "Traceback" not in done.err
    assert image.read_bytes() == before
    assert cli.run("down", cli.name).code == 0


AGAINST_THE_REGISTERS = (
    *("widths 1", f"absent {MANY}", "polls 50", f"vectors {MANY}", f"window {1 + MANY // 100}", f"moves {MANY // 2}"),
    *(f"statuses {2 * MANY}", f"restless {MANY}"),
)


@pytest.mark.parametrize("what", AGAINST_THE_REGISTERS)
def test_what_no_driver_writes_to_its_registers_does_nothing_or_what_the_standard_says(
    cli: Cli, payload: Payload, tmp_path: Path, what: str
) -> None:
    image = lettered(tmp_path / "root.img")
    before = image.read_bytes()
    up = cli.start("up", spec(cli, payload, str(image), what, "registers"))
    out, err = up.communicate(timeout=PATIENCE * (4 if LONG else 1))
    assert up.returncode == 0, out + err
    assert out == f"tried {what.split()[1]}\nhonest read 65\n", out
    assert image.read_bytes() == before


@pytest.mark.parametrize("what", [f"askew {MANY}", f"strings {MANY // 8}"])
def test_rings_anywhere_and_accesses_of_any_kind_end_in_order(
    cli: Cli, payload: Payload, tmp_path: Path, what: str
) -> None:
    """An engine hangs up when rings make no sense."""
    up = cli.start("up", spec(cli, payload, str(lettered(tmp_path / "root.img")), what, "registers"))
    out, err = up.communicate(timeout=PATIENCE * (4 if LONG else 1))
    assert f"tried {what.split()[1]}\n" in out or up.returncode, out + err
    assert up.returncode == 0 or ENDED_BY_ENGINE.search(err), err
    assert "Traceback" not in err
    assert cli.run("down", cli.name).code == 0


def test_a_vcpu_that_does_the_opposite_of_the_other_leaves_a_device_that_works(
    cli: Cli, payload: Payload, tmp_path: Path
) -> None:
    image = lettered(tmp_path / "root.img")
    up = cli.start("up", spec(cli, payload, str(image), f"together {MANY // 2}", "registers", cpus=2))
    out, err = up.communicate(timeout=PATIENCE * (4 if LONG else 1))
    assert up.returncode == 0, out + err
    assert out.endswith("honest read 65\n"), out


@pytest.mark.parametrize("readonly", [False, True])
def test_odd_requests_are_answered_and_reach_nothing_but_the_image(
    cli: Cli, payload: Payload, tmp_path: Path, *, readonly: bool
) -> None:
    image, neighbour = lettered(tmp_path / "root.img"), lettered(tmp_path / "other.img")
    before = image.read_bytes()
    disk = {"path": str(image), "readonly": readonly}
    done = cli.run("up", spec(cli, payload, disk, f"orders {5 * MANY}", "registers"))
    assert done.code == 0, done.out + done.err
    assert "some were done, some refused\n" in done.out, done.out
    assert (image.read_bytes() == before) is readonly
    assert image.stat().st_size == len(before)
    assert neighbour.read_bytes() == before


def test_an_engine_that_is_killed_ends_the_vm_and_is_named(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    """In the same words, whoever sees it first, the keeper its end or the runner its socket."""
    up, report = begun(cli, payload, lettered(tmp_path / "root.img"))
    kill(report["engines"][0]["pid"])
    out, err = up.communicate(timeout=PATIENCE)
    assert up.returncode == 11, out + err
    assert f"error[E560]: {STORAGE_DAEMON}, which served root, was killed by SIGKILL" in err, err
    assert cli.run("down", cli.name).code == 0


def test_an_engine_has_no_rights_but_to_its_images(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    """Looked at from outside while it serves."""
    image = lettered(tmp_path / "root.img")
    up, report = begun(cli, payload, image)
    engine = report["engines"][0]["pid"]
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{engine}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["NoNewPrivs"].strip() == "1"
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == int(status["CapBnd"], 16) == 0
    assert status["Seccomp"].strip() == "2"
    assert image in opened(engine)
    assert cli.run("down", "--kill", cli.name).code == 0
    up.communicate(timeout=PATIENCE)
