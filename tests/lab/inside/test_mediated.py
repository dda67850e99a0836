"""Mediated devices in guests: the kernel's samples mtty, a serial card, and mdpy, a display, by both ways of VFIO."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from launcher.plan.steps import MakeMdev
from launcher.values import MIB, own_mdev
from launcher.vms.folder_state import JOURNAL
from launcher.vms.looking import wait_until_down
from tests.conftest import EXAMPLES, NOBODY, PATIENCE, Cli, kill, processes_of
from tests.lab.inside.passing import NVME, boot, holders, order, start, until
from tests.lab.inside.test_user import User

pytestmark = [pytest.mark.host("iommufd"), pytest.mark.usefixtures("host_as_before", "mediated"), pytest.mark.long]

MTTY, MDPY = (f"83b8f4f2-509f-382f-3c1e-e6bfe0fa100{n}" for n in (1, 2))
TYPES = {MTTY: "mtty/mdev_supported_types/mtty-2", MDPY: "mdpy/mdev_supported_types/mdpy-vga"}
BUS = Path("/sys/bus/mdev/devices")
BOTH_WAYS = pytest.mark.parametrize("vfio", ["type1", "iommufd"])
GUEST = "/sys/bus/pci/devices/0000:00:10.0"
BOTH = {"card": {"mdev": MTTY}, "screen": {"mdev": MDPY}}


@pytest.fixture
def mediated(cli: Cli) -> Iterator[None]:
    """Nobody has them any more when they go: else their removal waits for ever."""
    made = {uuid: Path("/sys/class/mdev_bus") / kind / "create" for uuid, kind in TYPES.items()}
    if lacking := [str(path) for path in made.values() if not path.exists()]:
        pytest.skip(f"this kernel has not {' and '.join(lacking)}")
    for uuid, path in made.items():
        path.write_text(uuid)
    yield
    cli.put_down()
    assert not holders()
    for uuid in TYPES:
        (BUS / uuid / "remove").write_text("1")


def loop(port: str, text: str) -> str:
    """What is written to one of its ports comes back by an interrupt: it has no wire."""
    listen = f"stty -F /dev/{port} raw -echo 115200; timeout 20 head -n 1 /dev/{port} & sleep 1"
    return f"{listen}; echo {text} > /dev/{port}; wait"


@BOTH_WAYS
def test_a_serial_card_says_what_it_was_told(cli: Cli, initrd: Path, vfio: str) -> None:
    looks = f"lspci; dmesg | grep -i ttyS; {loop('ttyS1', 'there-and-back')}; {loop('ttyS2', 'once-more')}"
    done = boot(cli, initrd, {"card": {"mdev": MTTY}}, f"{looks}; grep -i ttyS /proc/interrupts", vfio=vfio)
    assert "00:10.0 Class 0700: 4348:3253 serial" in done.out
    assert re.search("^there-and-back", done.out, re.MULTILINE), done.out
    assert re.search("^once-more", done.out, re.MULTILINE), done.out
    assert f"{MTTY} -> 00:10.0  intx x1, ports on; not reset" in done.err, done.err
    assert "nothing was changed" in done.err


@BOTH_WAYS
def test_a_display_shows_its_frame_buffer(cli: Cli, initrd: Path, vfio: str) -> None:
    """A gradient, half as bright in the middle of 480 lines of 640 words. It cannot be reset: what one guest has
    written finds the next one, and the report says so."""
    first, middle = 0, 240 * 640 * 4
    word = f"words {GUEST}/resource0"
    looks = f"lspci; echo 1 > {GUEST}/enable; {word} {first}; {word} {middle}; {word} {middle} 0x12345678"
    done = boot(cli, initrd, {"screen": {"mdev": MDPY}}, looks, vfio=vfio)
    assert "00:10.0 Class 0380: 1b36:000f" in done.out
    said = [f"word {at:#x} is {value:08x}" for at, value in ((first, 0), (middle, 0x7F7F7F7F), (middle, 0x12345678))]
    assert [one for one in said if one.replace("0x0 ", "0 ") not in done.out] == [], done.out
    assert f"{MDPY} -> 00:10.0  none x0, memory on; not reset" in done.err, done.err
    again = boot(cli, initrd, {"screen": {"mdev": MDPY}}, f"echo 1 > {GUEST}/enable; {word} {middle}", vfio=vfio)
    assert said[-1] in again.out


@BOTH_WAYS
def test_beside_a_drive_they_work_again_after_a_reboot(cli: Cli, initrd: Path, vfio: str) -> None:
    up = start(cli, initrd, {**BOTH, "disk": NVME}, vfio=vfio)
    for reboot in ("; reboot", ""):
        order(up, f"{loop('ttyS1', 'there-and-back')}; echo heard", "there-and-back")
        order(up, f"head -c 4096 /dev/nvme0n1 | wc -c{reboot}", "4096")
        if reboot:
            until(up, "^init at")
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert "after 1 reboot" in err
    assert re.search("teardown +0 failed calls", err)


@BOTH_WAYS
def test_whoever_is_killed_they_are_free_again(
    cli: Cli, initrd: Path, payload: Callable[[str], Path], vfio: str
) -> None:
    spec = cli.spec(payload("rests"), memory="64MiB", devices=BOTH, vfio=vfio)
    for victims in ("runner", "keeper", "both"):
        up = cli.start("up", spec)
        assert up.stdout is not None
        while "!" not in (line := up.stdout.readline(1)):
            assert line, up.communicate()
        assert holders()
        keeper, runner = processes_of(up.pid)
        kill(*{"runner": (runner,), "keeper": (keeper,), "both": (keeper, runner)}[victims])
        up.communicate(timeout=PATIENCE)
        wait_until_down(cli.state)
        assert cli.run("down", cli.name).code == 0
        assert not holders()
    boot(cli, initrd, {"card": {"mdev": MTTY}}, "lspci", vfio=vfio)


def test_one_of_a_vm_is_refused_to_another_and_one_that_is_not_there_to_all(
    cli: Cli, payload: Callable[[str], Path]
) -> None:
    assert cli.run("up", "-d", cli.spec(payload("rests"), memory="64MiB", devices=BOTH)).code == 0
    first = cli.name
    second = cli.run("up", "-d", cli.spec(payload("rests"), memory="64MiB", devices={"card": {"mdev": MTTY}}), "--json")
    assert second.code == 1
    assert [one["code"] for one in second.json()["diagnostics"]] == ["E529"]
    assert first in second.json()["diagnostics"][0]["message"]
    absent = cli.run("plan", cli.spec(payload("rests"), memory="64MiB", devices={"card": {"mdev": MTTY[:-1] + "9"}}))
    assert absent.code == 1
    assert "error[E260]" in absent.out
    assert MDPY in absent.out


def test_of_a_type_a_vm_gets_one_that_it_was_given_and_nobody_has(
    cli: Cli, initrd: Path, payload: Callable[[str], Path]
) -> None:
    """As a scheduler gives it: by UUID."""
    wanted = {"card": {"mdev": {"type": "mtty-2"}}}
    spec = cli.spec(payload("rests"), memory="64MiB", devices=wanted)
    kept_away = cli.run("plan", "--only", MDPY, spec)
    assert kept_away.code == 1, kept_away.out
    done = boot(cli, initrd, wanted, "lspci")
    assert "00:10.0 Class 0700: 4348:3253 serial" in done.out
    assert f"{MTTY} -> 00:10.0" in done.err, done.err
    assert cli.run("up", "-d", "--only", MTTY, spec).code == 0
    second = cli.run("up", "-d", cli.spec(payload("rests"), memory="64MiB", devices=wanted), "--json")
    assert second.code == 1
    assert [one["code"] for one in second.json()["diagnostics"]] == ["E260"]
    lines = cli.run("devices", "--format", "gres").out.splitlines()
    assert [line for line in lines if f"File=/sys/bus/mdev/devices/{MTTY}" in line and "Type=mtty-2" in line]


def test_a_recorded_host_has_them(cli: Cli, payload: Callable[[str], Path], tmp_path: Path) -> None:
    facts = tmp_path / "host.json"
    facts.write_text(cli.run("devices", "--json").out)
    assert [one["type"] for one in json.loads(facts.read_text())["mediated"]] == ["mtty-2", "mdpy-vga"]
    plan = cli.run("plan", "--host", facts, cli.spec(payload("rests"), memory="64MiB", devices=BOTH))
    assert plan.code == 0, plan.out
    assert f"{MTTY}  mtty-2 Dual port serial" in plan.out


MAKING = {
    "card": {"mdev": {"parent": "mtty", "type": "mtty-2"}},
    "screen": {"mdev": {"parent": "mdpy", "type": "mdpy-vga"}},
}
BEFORE = {MTTY, MDPY}  # of the fixture


def there() -> set[str]:
    return {one.name for one in BUS.iterdir()}


@BOTH_WAYS
def test_a_guest_has_what_is_made_for_it_and_it_is_gone_after(cli: Cli, initrd: Path, vfio: str) -> None:
    looks = f"lspci; {loop('ttyS1', 'there-and-back')}"
    done = boot(cli, initrd, MAKING, looks, vfio=vfio)
    assert "00:10.0 Class 0700: 4348:3253 serial" in done.out
    assert "00:11.0 Class 0380: 1b36:000f" in done.out
    assert re.search("^there-and-back", done.out, re.MULTILINE), done.out
    for alias, kind in (("card", "mtty-2 of mtty"), ("screen", "mdpy-vga of mdpy")):
        assert f"{own_mdev(cli.name, alias)}  make {kind}" in done.err, done.err
    assert there() == BEFORE


@BOTH_WAYS
def test_whoever_is_killed_what_was_made_is_gone_after_down(
    cli: Cli, payload: Callable[[str], Path], vfio: str
) -> None:
    """The keeper, confined, removes it itself; else `down` does, by the journal."""
    spec = cli.spec(payload("rests"), memory="64MiB", devices={"card": MAKING["card"]}, vfio=vfio)
    for victims in ("nobody", "runner", "keeper", "both"):
        up = cli.start("up", spec)
        assert up.stdout is not None
        while "!" not in (line := up.stdout.readline(1)):
            assert line, up.communicate()
        assert there() == {*BEFORE, str(own_mdev(cli.name, "card"))}
        keeper, runner = processes_of(up.pid)
        kill(*{"nobody": (), "runner": (runner,), "keeper": (keeper,), "both": (keeper, runner)}[victims])
        if victims != "nobody":
            up.communicate(timeout=PATIENCE)
            wait_until_down(cli.state)
        if victims == "runner":
            assert there() == BEFORE
        assert cli.run("down", cli.name).code == 0
        assert there() == BEFORE, victims
        up.communicate(timeout=PATIENCE)


def test_a_keeper_that_dies_at_a_line_of_its_journal_leaves_nothing_that_was_made(cli: Cli, tmp_path: Path) -> None:
    plan, trace = tmp_path / "vm.plan", tmp_path / "trace"
    spec = cli.spec(EXAMPLES / "hello.elf", memory="64MiB", devices={"card": MAKING["card"]})
    assert cli.run("plan", "-o", plan, spec).code == 0
    words = ["strace", "-f", "-o", str(trace), "-e", "trace=fdatasync"]
    subprocess.run([*words, *cli.command("up", plan)], stdin=subprocess.DEVNULL, capture_output=True, check=True)
    most = trace.read_text().count("fdatasync(")
    assert most >= 2  # before it is made, and when it has been removed
    for n in range(1, most + 1):
        inject = ["-e", f"inject=fdatasync:signal=KILL:when={n}"]
        subprocess.run(
            [*words, *inject, *cli.command("up", plan)], stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        wait_until_down(cli.state)
        assert "killed by SIGKILL" in trace.read_text(), n
        assert cli.run("down", cli.name).code == 0, n
        assert there() == BEFORE, n
    print(f"{most} deaths")


def test_one_that_somebody_makes_at_the_same_moment_stays_his(cli: Cli, tmp_path: Path) -> None:
    """The keeper sleeps behind each line of its journal."""
    plan, uuid = tmp_path / "vm.plan", MTTY[:-1] + "9"
    devices = {"card": {"mdev": MAKING["card"]["mdev"] | {"uuid": uuid}}}
    spec = cli.spec(EXAMPLES / "hello.elf", memory="64MiB", devices=devices)
    assert cli.run("plan", "-o", plan, spec).code == 0
    slow = ["strace", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_exit=3000000"]
    words = [*slow, *cli.command("up", plan)]
    up = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    journal = cli.state / JOURNAL
    while not journal.exists() or MakeMdev.op not in journal.read_text():
        assert up.poll() is None, up.communicate()
    (Path("/sys/class/mdev_bus") / TYPES[MTTY] / "create").write_text(uuid)
    _, err = up.communicate(timeout=PATIENCE)
    assert "error[E524]" in err, err
    assert f"somebody has made {uuid} since it was planned" in err
    assert cli.run("down", "-i", cli.name).code == 0
    assert there() == {*BEFORE, uuid}
    (BUS / uuid / "remove").write_text("1")


def test_one_that_somebody_has_open_is_removed_when_he_lets_go(cli: Cli, payload: Callable[[str], Path]) -> None:
    spec = cli.spec(payload("rests"), memory="64MiB", devices={"card": MAKING["card"]})
    up = cli.start("up", spec)
    assert up.stdout is not None
    while "!" not in (line := up.stdout.readline(1)):
        assert line, up.communicate()
    made = own_mdev(cli.name, "card")
    kill(*processes_of(up.pid))
    up.communicate(timeout=PATIENCE)
    wait_until_down(cli.state)
    node = f"/dev/vfio/{(BUS / str(made) / 'iommu_group').resolve().name}"
    with open(node, "rb"):
        down = cli.run("down", cli.name)
        assert (down.code, "error[E529]" in down.err) == (1, True), down.err
        assert str(made) in there()
    assert cli.run("down", cli.name).code == 0
    assert there() == BEFORE


def test_what_cannot_be_made_is_said_before(cli: Cli, payload: Callable[[str], Path]) -> None:
    """Of mdpy's displays there are four, of which the fixture has one."""
    for devices, code in (
        ({f"screen-{n}": MAKING["screen"] for n in range(4)}, "E264"),
        ({"card": {"mdev": {"parent": "mtty", "type": "mtty-9"}}}, "E263"),
        ({"card": {"mdev": {"parent": "mttx", "type": "mtty-2"}}}, "E262"),
        ({"card": {"mdev": {"uuid": MTTY, "parent": "mtty", "type": "mtty-1"}}}, "E265"),
    ):
        plan = cli.run("plan", cli.spec(payload("rests"), memory="64MiB", devices=devices))
        assert (plan.code, f"error[{code}]" in plan.out) == (1, True), plan.out
    listed = cli.run("devices").out
    assert re.search("^mtty +mtty-2 +[0-9]+ left +Dual port serial$", listed, re.MULTILINE), listed


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """The nodes of mtty are his, and what both ways begin with; he may lock less than a guest has."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, NOBODY, NOBODY)
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o711)
    group, own = (BUS / MTTY / "iommu_group").resolve().name, next((BUS / MTTY / "vfio-dev").iterdir()).name
    nodes = [Path("/dev") / name for name in ("kvm", "iommu", f"vfio/{group}", f"vfio/devices/{own}")]
    before = {one: os.stat(one) for one in nodes}
    for one in nodes:
        os.chown(one, NOBODY, NOBODY)
    made = User(tmp_path)
    made.memlock = MIB
    yield made
    made.put_down()
    for one, status in before.items():
        os.chown(one, status.st_uid, status.st_gid)


@BOTH_WAYS
def test_an_ordinary_user_has_one_by_its_node_and_locks_nothing(user: User, vfio: str) -> None:
    spec = user.spec(EXAMPLES / "hello.elf", memory="64MiB", devices={"card": {"mdev": MTTY}}, vfio=vfio)
    done = user.run("up", "-v", spec)
    assert done.code == 0, done.err
    assert "warning[W269]" in done.err
    assert "powering off" in done.out
    assert "1.0 x RAM in 1 maps" in done.err
    assert re.search("teardown +0 failed calls", done.err)
