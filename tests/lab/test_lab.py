"""The lab itself: verdicts, that no QEMU is left behind, what it is made of. The lab's tests of vmlaunch: inside/."""

from __future__ import annotations

import io
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import PATIENCE, ROOT, ends, kill, processes_of
from tests.lab import kernel, pieces
from tests.lab.boot import LOST, Ended, Job, run, watch
from tests.lab.firmware import tables
from tests.lab.hosts import HOSTS, TABLE, Host
from tests.lab.initramfs import initramfs
from tests.lab.packages import Missing, Unavailable, new_folder

LAB = [sys.executable, "-m", "tests.lab"]


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., Ended]:
    """Watch a machine that is a shell script in the machine's place; it leaves results as a lab host does."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "stdout").touch()

    def played(script: str, seconds: float = PATIENCE, stdout: io.BytesIO | None = None) -> Ended:
        command = ["sh", "-c", f"cd {tmp_path}/lab; {script}"]
        return watch(command, tmp_path, seconds, [(tmp_path / "lab" / "stdout", stdout)])

    return played


@pytest.fixture
def qemu() -> str:
    try:
        return pieces.qemu()
    except Unavailable as why:
        pytest.skip(str(why))


def test_the_status_of_the_command_is_the_verdict(play: Callable[..., Ended]) -> None:
    ended = play("echo 1.5 6.1 >ready; echo 3 >status")
    assert (ended.status, ended.lost, ended.ready, ended.kernel) == (3, "", 1.5, "6.1")


def test_what_the_command_writes_is_passed_on(play: Callable[..., Ended]) -> None:
    out = io.BytesIO()
    play("echo first >>stdout; echo 1 6.1 >ready; echo last >>stdout; echo 0 >status", stdout=out)
    assert out.getvalue() == b"first\nlast\n"


def test_a_machine_that_ends_without_a_status_was_lost(play: Callable[..., Ended]) -> None:
    ended = play("echo 1.5 6.1 >ready; echo 'Kernel panic - not syncing' >../console")
    assert ended.status == LOST
    assert ended.lost.startswith("the machine was lost: it ended without a status; 1.5 s after its start")
    assert ended.lost.endswith("| Kernel panic - not syncing")


def test_a_machine_that_does_not_end_was_lost_and_is_ended(play: Callable[..., Ended], tmp_path: Path) -> None:
    ended = play("echo $$ >pid; exec sleep 1000", seconds=0.5)
    assert ended.status == LOST
    assert "was ended; it never got to the command" in ended.lost
    assert ends(int((tmp_path / "lab" / "pid").read_text()))


@pytest.mark.lab
def test_no_qemu_is_left_when_its_runner_is_killed(qemu: str) -> None:
    program = f"""
import sys
from pathlib import Path
from tests.lab.boot import start
machine = start([{qemu!r}, "-S", "-nodefaults", "-display", "none", "-chardev", "stdio,id=out", "-mon", "out"],
                sys.stderr.buffer, Path.cwd(), terminal=True)
machine.wait()
"""
    runner = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert runner.stdin is not None
    assert runner.stdout is not None
    assert b"QEMU" in runner.stdout.readline()  # its monitor greets: QEMU is there
    machines = processes_of(runner.pid)
    assert machines
    kill(runner.pid)
    runner.wait()
    assert all(ends(machine) for machine in machines)


def test_every_host_has_a_name_of_its_own_and_devices_have_addresses() -> None:
    assert len(HOSTS) == len(TABLE)
    unplaced = [device for host in TABLE for device in host.devices if not device.startswith(("-", "nvme-subsys"))]
    assert [device for device in unplaced if "bus=" not in device] == []


@pytest.mark.parametrize(
    ("said", "sound"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", True),
        ("QEMU emulator version 7.2.9 (Debian 1:7.2+dfsg-7+deb12u5)", False),
        ("QEMU emulator version 8.2.2 (Debian 1:8.2.2+ds-0ubuntu1.18)", False),
        ("QEMU emulator version 9.1.0", False),
        ("QEMU emulator version 9.2", True),
        ("QEMU emulator version 10.0.11 (Debian 1:10.0.11+ds-0+deb13u1)", True),
    ],
)
def test_kvm_does_without_nested_tables_where_qemu_leaves_them_out(said: str, sound: bool) -> None:
    assert ("npt=off" not in pieces.processor(said)) is sound


@pytest.mark.parametrize("host", [host for host in TABLE if host.disks], ids=lambda host: host.name)
def test_every_disk_is_named_by_a_device(host: Host) -> None:
    assert all(any(f"drive={disk}" in device for device in host.devices) for disk in host.disks)


def test_modules_come_after_those_that_they_depend_on(tmp_path: Path) -> None:
    modules = tmp_path / "6.1"
    modules.mkdir()
    names = ("fs/9p.ko", "net/9pnet.ko", "net/9pnet_virtio.ko", "drivers/virtio-pci.ko")
    for name in names:
        (modules / name).parent.mkdir(exist_ok=True)
        (modules / name).write_bytes(b"module")
    (modules / "modules.dep").write_text(
        "fs/9p.ko: net/9pnet.ko\nnet/9pnet.ko:\nnet/9pnet_virtio.ko: net/9pnet.ko\ndrivers/virtio-pci.ko:\n"
    )
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"busybox")
    archive = initramfs(HOSTS["plain"], pieces.Kernel(busybox, modules), busybox)
    order = b"00-virtio-pci.ko\n01-9pnet.ko\n02-9pnet_virtio.ko\n03-9p.ko"
    assert order in archive
    assert len(archive) % 4 == 0


@pytest.mark.parametrize(("name", "table"), [("regions", "DMAR"), ("uncovered", "DMAR"), ("amd-regions", "IVRS")])
def test_tables_of_the_firmware_are_whole(name: str, table: str) -> None:
    content = tables(HOSTS[name])[table]
    assert content[:4] == table.encode()
    assert int.from_bytes(content[4:8], "little") == len(content)
    assert sum(content) % 256 == 0


def test_a_host_of_qemus_own_firmware_gets_no_tables() -> None:
    assert tables(HOSTS["zoo"]) == {}


def test_a_folder_that_was_not_finished_is_not_there(tmp_path: Path) -> None:
    def break_off() -> None:
        with new_folder(tmp_path / "piece") as making:
            (making / "half").touch()
            raise Missing("the network is gone")

    with pytest.raises(Missing):
        break_off()
    assert list(tmp_path.iterdir()) == []


def test_the_newest_kernel_source_is_found_by_number() -> None:
    assert kernel.newest(["linux-source-6.9", "linux-source-6.12", "linux-source"]) == "linux-source-6.12"
    assert kernel.newest(["linux-source"]) is None


def test_a_symbol_that_kconfig_dropped_is_named() -> None:
    config = "CONFIG_PCI=y\n# CONFIG_IOMMUFD is not set\n"
    assert kernel.missing("# why\nCONFIG_PCI=y\nCONFIG_IOMMUFD=y\n# CONFIG_VT is not set\n", config) == [
        "CONFIG_IOMMUFD"
    ]


@pytest.mark.lab
@pytest.mark.long
def test_a_panic_is_a_lost_machine(qemu: str, tmp_path: Path) -> None:
    out = io.BytesIO()
    job = Job(("sh", "-c", "echo before; echo c >/proc/sysrq-trigger"), ROOT)
    ended = run(HOSTS["plain"], job, tmp_path, out)
    assert (ended.status, out.getvalue()) == (LOST, b"before\n")
    assert "Kernel panic - not syncing: sysrq triggered crash" in ended.lost


@pytest.mark.lab
@pytest.mark.long
def test_a_command_that_takes_too_long_is_not_a_lost_machine(qemu: str, tmp_path: Path) -> None:
    ended = run(HOSTS["plain"], Job(("sleep", "1000"), ROOT, seconds=2), tmp_path)
    assert (ended.status, ended.lost) == (124, "")


@pytest.mark.lab
@pytest.mark.long
def test_a_suite_whose_machine_is_killed_says_so_goes_on_and_leaves_nothing(qemu: str) -> None:
    """The kill may come between two tests: then all have a verdict."""
    suite = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/lab/inside/test_kvm.py", "-k", "plain"],
        cwd=ROOT,
        env=os.environ | {"VMLAUNCH_LONG": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert suite.stdout is not None
    before = next(line for line in suite.stdout if line.startswith("plain   1/2"))
    machines = processes_of(suite.pid)
    kill(machines[0])
    said = before + suite.stdout.read()
    lost = suite.wait() == LOST
    assert "the machine was lost" in said
    assert ("no verdict, while this test ran" in said) == lost
    assert "plain   1/1" in said or lost
    assert all(ends(machine) for machine in machines)


@pytest.mark.lab
@pytest.mark.long
def test_a_shell_is_a_terminal_and_gives_its_status(qemu: str) -> None:
    ours, its = pty.openpty()
    with subprocess.Popen([*LAB, "shell", "plain"], cwd=ROOT, stdin=its, stdout=its, stderr=its) as shell:
        os.close(its)
        said = b""
        for wait_for, answer in ((b"plain:/", b"tty; echo $((6 * 7))\n"), (b"\n42", b"exit 3\n")):
            while wait_for not in said:
                assert select.select([ours], [], [], PATIENCE)[0], said
                said += os.read(ours, 1000)
            os.write(ours, answer)
        assert shell.wait(PATIENCE) == 3
    os.close(ours)
    assert b"/dev/ttyS0" in said
