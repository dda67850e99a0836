"""Whole machines: two disks, two networks, a share and vsock beside passed devices, in a Linux guest that uses all."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from launcher.vms.looking import wait_until_down
from tests.conftest import NOBODY, PATIENCE, PAYLOADS, Cli, ends, kill, processes_of
from tests.disk_images import ext4, qcow2
from tests.lab.guest import INIT, TOUR, WHOLE_DRIVERS, guest_initramfs
from tests.lab.inside.passing import NVME, TALKS, card, linux, order, received, start, until
from tests.lab.inside.whole import (
    BRIDGE,
    BRIDGED,
    CID,
    DISKS,
    PASSED,
    PORT,
    SHARES,
    Whole,
    engines,
    links,
    missing,
    networks,
    report_of,
    serving,
    sh,
)
from tests.lab.pieces import busybox, distribution_kernel

pytestmark = [
    pytest.mark.host("zoo"),
    pytest.mark.usefixtures("host_as_before", "nothing_left"),
    pytest.mark.skipif(bool(missing()), reason=f"there is no {missing()}"),
]

MEBIBYTES = 8
BOOTS = 6


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("talk") / "talk"
    subprocess.run(["gcc", "-O2", "-static", PAYLOADS / "talk.c", "-o", target], check=True)
    return target


@pytest.fixture(scope="module")
def drivers(tmp_path_factory: pytest.TempPathFactory, talk: Path) -> Path:
    """The initramfs of a guest with drivers for all, and with the program `talk`."""
    target = tmp_path_factory.mktemp("whole") / "initrd"
    more = {"bin/talk": talk.read_bytes(), "bin/tour": TOUR.read_bytes()}
    return guest_initramfs(target, distribution_kernel(), WHOLE_DRIVERS, more)


@pytest.fixture(scope="module")
def reachable(talk: Path) -> Iterator[None]:
    with networks(), serving(talk):
        yield


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No engine and no interface of ours outlives its VM."""
    before = links()
    yield
    assert all(map(ends, engines()))  # those of a keeper that was killed may be a moment behind it
    assert links() == before


@pytest.fixture
def whole() -> Iterator[Whole]:
    """In a folder that everybody may pass, unlike those of pytest; the share is nobody's."""
    with TemporaryDirectory() as made:
        place = Path(made)
        place.chmod(0o711)
        raw, base, folder = place / "root.img", place / "base.img", place / "work"
        for image in (raw, base):
            image.write_bytes(os.urandom(MEBIBYTES << 20))
        folder.mkdir()
        (folder / "from-host").write_bytes(os.urandom(100_000))
        os.chown(folder, NOBODY, NOBODY)
        yield Whole(raw, base, qcow2(place / "data.qcow2", MEBIBYTES << 20, base), folder)


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def said(out: str, name: str) -> list[str]:
    return re.findall(rf"^([0-9a-f]{{64}})  {re.escape(name)}\r?$", out, re.MULTILINE)


def done(command: str, word: str) -> tuple[str, str]:
    """An order, and the line that says that it was carried out; the order itself does not have that line."""
    return f"{command}; echo {word} $((40 + 2))", f"{word} 42"


def tour(up: subprocess.Popen[str], *words: str) -> str:
    """What tests/lab/tour.sh says of them."""
    return order(up, f"tour {' '.join(words)}", f"toured {len(words)}")


@pytest.mark.usefixtures("peer", "reachable")
def test_all_of_a_whole_machine_works_at_once(cli: Cli, drivers: Path, whole: Whole) -> None:
    """What the guest reads is what the host has, and the other way round."""
    up = start(cli, drivers, PASSED, **whole.fields())
    out, sectors = tour(up, "disks"), (MEBIBYTES << 20) // 512
    for name, image in (("vda", whole.raw), ("vdb", whole.base)):
        assert f"{name} has {sectors} sectors, readonly 0" in out, out
        assert said(out, f"/dev/{name}") == [sha(image.read_bytes())], out
    (written,) = said(tour(up, "write"), "/tmp/written")
    assert sha(whole.raw.read_bytes()[: 256 << 10]) == written

    for network in ("lan", "mgmt"):
        out = tour(up, network)
        assert "5 packets received" in out, out
        assert [int(bytes_) > 0 for bytes_ in re.findall(r"^(?:sent|taken) (\d+) in", out, re.MULTILINE)] == [True] * 2
        assert re.search("^trips 20 in", out, re.MULTILINE), out

    out, content = tour(up, "share"), (whole.folder / "from-host").read_bytes()
    assert said(out, "/work/from-host") == [sha(content)], out
    assert (whole.folder / "from-guest").read_bytes() == content
    assert "trips 20 in" in tour(up, "vsock")

    assert "4+0 records in" in tour(up, "drive")
    out = order(up, f"{card('00:11.0')}; {TALKS}; echo talked $((1 + 1))", "talked 2")
    assert received(out) >= 18, out

    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert "0 failed calls" in err
    assert again(cli, drivers, whole.qcow2) == written


def again(cli: Cli, drivers: Path, image: Path) -> str:
    """The checksum of the start of an image, as another guest has it."""
    up = start(cli, drivers, {}, disks={"data": str(image)})
    (found,) = said(tour(up, "start_of_first"), "/tmp/read")
    up.communicate("poweroff\n", timeout=PATIENCE)
    return found


@pytest.mark.usefixtures("reachable")
def test_no_read_packet_or_message_returns_to_user_space(cli: Cli, drivers: Path, whole: Whole) -> None:
    """What returns from KVM_RUN there are, the order itself causes: its characters come and go."""
    up = start(cli, drivers, {}, **whole.fields())
    tour(up, "lan")
    works = {
        "read": "dd if=/dev/vda of=/dev/null bs=4k iflag=direct count={} 2>/dev/null",
        "trip": f"talk trips {BRIDGED}.1 {PORT} {{}} >/dev/null",
        "message": f"talk trips host {PORT} {{}} >/dev/null",
    }
    for what, work in works.items():
        exits = []
        for count in (1, 101, 1101):
            order(up, *done(work.format(f"{count:04}"), what))
            exits.append(sum(one["exits"] for one in report_of(cli)["vcpus"]))
        few, many = (after - before for before, after in pairwise(exits))
        print(f"{few} returns with 101 of {what}, {many} with 1101")
        assert many - few < 20, (what, exits)
    up.communicate("poweroff\n", timeout=PATIENCE)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is in a guest's own file system: busybox and an init that takes orders."""
    folder = tmp_path_factory.mktemp("tree")
    for name in ("bin", "proc", "sys", "dev", "modules"):
        (folder / name).mkdir()
    (folder / "bin/busybox").write_bytes(busybox().read_bytes())
    (folder / "init").write_text(INIT.read_text())
    for name in ("bin/busybox", "init"):
        (folder / name).chmod(0o755)
    return folder


@pytest.mark.parametrize("kind", ["raw", "qcow2"])
def test_a_guest_has_its_root_on_a_disk_and_reboots_five_times(
    cli: Cli, drivers: Path, tree: Path, tmp_path: Path, kind: str
) -> None:
    """It counts its boots there."""
    image = ext4(tmp_path / "root.img", tree, 32 << 20)
    if kind == "qcow2":
        image = qcow2(tmp_path / "root.qcow2", 32 << 20, image)
    up = start(cli, drivers, {"drive": NVME}, disks={"root": str(image)})
    change = "mkdir /r; mount -t ext4 /dev/vda /r && exec switch_root /r /init"
    for n in range(1, BOOTS + 1):
        assert up.stdin is not None
        up.stdin.write(f"{change}\n")
        up.stdin.flush()
        until(up, "^init at")
        order(
            up,
            *done("echo boot >> /boots; sync; grep -c boot /boots; mount | grep -c '/dev/vda on / '", f"boot {n} of"),
        )
        if n < BOOTS:
            up.stdin.write("sync; umount -r / 2>/dev/null; reboot\n")
            up.stdin.flush()
            until(up, "^init at")
    out = order(up, *done("echo boots $(grep -c boot /boots)", "counted"))
    assert f"boots {BOOTS}" in out
    out, err = up.communicate("sync; poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert f"after {BOOTS - 1} reboot" in err


VICTIMS = (DISKS, SHARES, "runner", "keeper", "keeper and runner")


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("victim", VICTIMS)
def test_whichever_process_is_killed_the_vm_ends_and_nothing_is_left(
    cli: Cli, drivers: Path, whole: Whole, victim: str
) -> None:
    up = start(cli, drivers, {"drive": NVME}, **whole.fields())
    keeper, *others = processes_of(up.pid)
    running = engines()
    runner = next(one for one in others if one not in running)
    assert sorted(set(running.values())) == [DISKS, SHARES]
    pids = {"keeper": keeper, "runner": runner, **{name: pid for pid, name in running.items()}}
    kill(*(pids[one] for one in victim.split(" and ")))
    _, err = up.communicate(timeout=PATIENCE)
    wait_until_down(cli.state)
    print(err)
    if "keeper" in victim:
        assert up.returncode == 12, err
        assert "error[E510]" in err
    elif victim == "runner":
        assert up.returncode == 11, err
        assert "error[E502]" in err
    else:
        assert up.returncode == 11, err
        assert re.search(r"error\[E56\d\]", err), err
        assert "SIGKILL" in err
    assert cli.run("down", cli.name).code == 0


@pytest.mark.usefixtures("reachable")
def test_a_saved_plan_runs_a_recorded_host_has_it_and_a_disk_is_told(
    cli: Cli, drivers: Path, whole: Whole, tmp_path: Path
) -> None:
    spec, saved, facts = (
        linux(cli, drivers, {"drive": NVME}, **whole.fields()),
        tmp_path / "vm.plan",
        tmp_path / "facts",
    )
    made = cli.run("plan", "-o", saved, spec)
    assert made.code == 0, made.out + made.err
    facts.write_text(cli.run("devices", "--json").out)
    elsewhere = cli.run("plan", "--json", "--host", facts, spec).json()
    here = cli.run("plan", "--json", spec).json()
    assert [one["text"] for one in elsewhere["steps"]] == [one["text"] for one in here["steps"]]

    up = cli.start("up", saved, stdin=subprocess.PIPE)
    until(up, "^init at")
    written = json.loads(spec.read_text())
    written["disks"]["more"] = str(whole.qcow2.parent / "base.img")
    spec.write_text(json.dumps(written))
    told = cli.run("plan", "--diff", spec)
    assert "more" in told.out, told.out + told.err
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err


def test_a_block_device_is_a_disk(cli: Cli, drivers: Path, tmp_path: Path) -> None:
    image = tmp_path / "image"
    content = os.urandom(MEBIBYTES << 20)
    image.write_bytes(content)
    device = sh("losetup", "-f", "--show", image).strip()
    try:
        up = start(cli, drivers, {}, disks={"data": {"path": device}})
        out = order(
            up, *done("sha256sum /dev/vda; dd if=/dev/zero of=/dev/vda bs=4k count=1 2>/dev/null; sync", "disk")
        )
        assert said(out, "/dev/vda") == [sha(content)], out
        up.communicate("poweroff\n", timeout=PATIENCE)
        assert Path(device).read_bytes()[:4096] == bytes(4096)
    finally:
        sh("losetup", "-d", device)


AGAINST_THE_REGISTERS = ("absent 50", "vectors 50", "window 1", "moves 20", "statuses 100", "askew 20", "restless 50")
NO_GOOD = ("toggles 100", "outside 12", "midway 50", "wrapped 20", "registers 3000")


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("field", [{"vsock": CID}, {"nics": {"lan": {"bridge": BRIDGE}}}], ids=["vsock", "net"])
def test_a_driver_that_means_no_good_leaves_the_kernels_devices_working(
    cli: Cli, payload: Callable[[str], Path], field: dict[str, Any]
) -> None:
    for driver, ways in (("blocks", NO_GOOD), ("registers", AGAINST_THE_REGISTERS)):
        boot = {"kernel": str(payload(driver)), "cmdline": " ".join(ways)}
        done = cli.run("up", cli.spec(Path("replaced"), boot=boot, **field))
        assert done.code == 0, done.out + done.err
        tried = "".join(f"tried {one.split()[1]}\n" for one in ways)
        assert done.out.replace("wants a reset\n", "") == f"{tried}honest read 0\n", done.out
