"""The lab itself: verdicts, that no QEMU is left behind, what it is made of. The lab's tests of vmlaunch: inside/."""

from __future__ import annotations

import io
import json
import os
import pty
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.account import FINISHED, STARTED, Account
from tests.conftest import PATIENCE, ROOT, ends, kill, processes_of
from tests.lab import kernel, pieces
from tests.lab.boot import LOST, Ended, Job, Sink, run, watch
from tests.lab.firmware import tables
from tests.lab.hosts import HOSTS, TABLE, Host
from tests.lab.initramfs import initramfs
from tests.lab.packages import Missing, Unavailable, new_folder
from tests.lab.progress import ERASED, Progress
from tests.lab.session import BOOTS, LONG, Patience, Session, hold
from tests.lab.session import LAB as WHOLE

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


class Played:
    """Machines that are shell scripts, one after the other; the last again and again."""

    def __init__(self, *scripts: str) -> None:
        self._scripts = list(scripts)
        self.asked: list[tuple[str, ...]] = []  # of each, what it was to run

    def __call__(
        self, host: Host, job: Job, work: Path, sinks: dict[str, Sink | None], look: Callable[[], str]
    ) -> Ended:
        self.asked.append(job.words)
        results = work / "lab"
        results.mkdir(parents=True, exist_ok=True)
        for name in ("stdout", "stderr", *sinks):
            (results / name).touch()
        script = self._scripts.pop(0) if len(self._scripts) > 1 else self._scripts[0]
        command = ["sh", "-c", f"cd {results}; echo 1.5 6.1 >ready; {script}"]
        return watch(command, work, PATIENCE, [(results / name, sink) for name, sink in sinks.items()], look)


def ran(test: str) -> str:
    return f"{began(test)}; {told(FINISHED, test)}"


def began(test: str) -> str:
    return told(STARTED, [test, 0])


def told(kind: str, content: object) -> str:
    return f"echo '{json.dumps([kind, content])}' >>account"


def held(machine: Played, tests: str, folder: Path, out: io.StringIO | None = None) -> Session:
    return hold(HOSTS["plain"], tests.split(), folder, Progress("plain", out or io.StringIO()), {}, machine)


PANIC = "echo Kernel panic >../console"
LOCKUP = "echo 'Kernel panic - not syncing: softlockup: hung tasks' >../console"


def test_a_machine_that_is_lost_takes_one_test_with_it(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    victim = request.node.nodeid.rpartition("/")[2]
    machine = Played(f"{ran('a')}; {began(victim)}; {PANIC}", f"{ran('c')}; echo 0 >status")
    session = held(machine, f"a {victim} c", tmp_path)
    assert [words[-1] for words in machine.asked] == ["c", "c"]
    assert victim not in machine.asked[1]
    assert "a" not in machine.asked[1]
    assert (list(session.lost), session.left(), session.without_verdict) == ([victim], [], True)


def test_its_report_has_the_machines_last_words(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    session = Session([request.node.nodeid], lost={request.node.nodeid: "the machine was lost: it panicked"})
    (report,) = session.reports_of(request.node)
    assert (report.outcome, report.longrepr) == (
        "failed",
        "no verdict, while this test ran: the machine was lost: it panicked",
    )


def test_a_flaw_of_the_emulation_is_forgiven_once(tmp_path: Path) -> None:
    lost = f"{began('a')}; {LOCKUP}"
    session = held(Played(lost, f"{ran('a')}; echo 0 >status"), "a", tmp_path / "1")
    assert (session.lost, session.left(), session.without_verdict) == ({}, [], False)
    session = held(Played(lost, lost, f"{ran('b')}; echo 0 >status"), "a b", tmp_path / "2")
    assert (list(session.lost), session.left(), session.without_verdict) == (["a"], [], True)


def test_machines_that_are_lost_again_and_again_are_given_up(tmp_path: Path) -> None:
    machine = Played(PANIC)
    session = held(machine, "a b", tmp_path)
    assert len(machine.asked) == BOOTS
    assert (session.left(), session.without_verdict) == (["a", "b"], True)


def test_a_session_that_ends_before_all_have_run_is_no_lost_machine(tmp_path: Path) -> None:
    machine = Played(f"{ran('a')}; echo 4 >status")
    session = held(machine, "a b", tmp_path)
    assert (len(machine.asked), session.left(), session.without_verdict) == (1, ["b"], False)


def test_what_the_tests_need_is_in_each_machine(tmp_path: Path) -> None:
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab" / "_native.abi3.so").write_text("sanitized")
    finds = f"grep -q sanitized _native.abi3.so && {ran('b')} && echo 0 >status"
    assert held(Played(f"{began('a')}; {PANIC}", finds), "a b", tmp_path).left() == []


def test_a_test_may_be_silent_as_long_as_its_limit(tmp_path: Path) -> None:
    account = Account()
    patience = Patience(account, -1)
    assert patience.why() == "said nothing for -1 s"
    account.write(b'["started", ["a", 1000]]\n')
    assert patience.why() == ""
    account.limit = 0
    assert patience.why() == "said nothing for -1 s, in a"


def test_a_silent_machine_is_lost_and_says_in_which_test(tmp_path: Path) -> None:
    def look() -> str:
        return "said nothing for 3 s, in a"

    machine = Played("exec sleep 1000")
    ended = machine(HOSTS["plain"], Job(("a",), ROOT), tmp_path, {}, look)
    assert ended.lost.startswith("the machine was lost: it said nothing for 3 s, in a, and was ended")


def test_each_test_is_a_line_while_the_machine_works(tmp_path: Path) -> None:
    out = io.StringIO()
    report = told("report", {"nodeid": "tests/x.py::b[1/2]", "outcome": "failed"})
    second = f"{began('tests/x.py::b[1/2]')}; {report}; {told(FINISHED, 'tests/x.py::b[1/2]')}"
    held(Played(f"{ran('tests/x.py::a')}; {second}; echo 0 >status"), "a b", tmp_path, out)
    lines = [line.split() for line in out.getvalue().splitlines() if line]
    assert " ".join(lines[0]) == "plain: 2 tests; the machine boots"
    assert [(one[0], one[1], *one[4:]) for one in lines[2:]] == [
        ("plain", "1/2", "x.py::a"),
        ("plain", "2/2", "x.py::b[1/2]", "failed"),
    ]


def test_on_a_terminal_the_one_that_runs_is_seen_too() -> None:
    out = io.StringIO()
    out.isatty = lambda: True  # type: ignore[method-assign]
    progress = Progress("plain", out)
    progress.boots(2)
    progress.see(STARTED, ["tests/x.py::a", 0])
    progress.look()
    assert out.getvalue().endswith(f"{ERASED}plain   1/2    0 s    x.py::a")


def chosen(**environment: str) -> set[str]:
    """The tests in lab hosts."""
    bare = {name: value for name, value in os.environ.items() if name not in (WHOLE, LONG)}
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "tests/lab/inside"]
    done = subprocess.run(command, cwd=ROOT, env=bare | environment, capture_output=True, text=True, check=True)
    return {line for line in done.stdout.splitlines() if "::" in line}


def test_a_short_round_in_one_host_then_what_a_commit_has_then_all() -> None:
    short, lab, long = chosen(), chosen(**{WHOLE: "1"}), chosen(**{LONG: "1"})
    assert short < lab < long
    assert all("[zoo" in test for test in short)
    assert all("[zoo" in test or "[amd" in test for test in lab)


def test_a_host_is_not_charged_to_its_first_test(request: pytest.FixtureRequest) -> None:
    """pytest's limit for one test: outside it would hold for the machine of all of them."""
    outside = [item for item in request.session.items if item.path.parent.name == "inside"]
    assert all(item.get_closest_marker("timeout").args == (0,) for item in outside)
    assert request.node.get_closest_marker("timeout").args[0] > PATIENCE


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
def test_a_suite_whose_machine_is_killed_says_so_and_leaves_nothing(qemu: str) -> None:
    tests = ["-v", "-p", "no:cacheprovider", "tests/lab/inside", "-k", "plain"]
    suite = subprocess.Popen(
        [sys.executable, "-m", "pytest", *tests],
        cwd=ROOT,
        env=os.environ | {"VMLAUNCH_LONG": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert suite.stdout is not None
    before = next(line for line in suite.stdout if "[plain]" in line)  # the first test of the session inside
    machines = processes_of(suite.pid)
    kill(machines[0])
    said = before + suite.stdout.read()
    assert suite.wait() == LOST
    assert "the machine was lost" in said
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
