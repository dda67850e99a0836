"""What befalls a VM and its host: processes that are stopped, no room in /run, no memory, a terminal that goes away."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from launcher.values import MIB
from launcher.vms.holders import is_stuck
from launcher.vms.looking import wait_until_down
from tests.conftest import PATIENCE, ROOT, STATE, Cli, ends, kill, processes_of

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]
for_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")


@pytest.fixture
def family(cli: Cli, payload: Payload) -> Iterator[tuple[int, int]]:
    """Keeper and runner of a VM whose guest never ends by itself; let go on at the end."""
    assert cli.run("up", "-d", cli.spec(payload("spin"))).code == 0
    report = cli.run("inspect", cli.name, "--json").json()["report"]
    yield report["pid"], report["runner"]
    for pid in (report["pid"], report["runner"]):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


# ---- processes that are stopped ----


def test_down_does_not_wait_for_a_keeper_that_is_stopped_and_says_how_to_go_on(
    cli: Cli, family: tuple[int, int]
) -> None:
    keeper, runner = family
    os.kill(keeper, signal.SIGSTOP)
    down = cli.run("down", cli.name)
    assert down.code == 1
    assert f"is held by process {keeper} (stopped), process {runner}" in down.err
    assert f"kill -CONT {keeper}" in down.err
    os.kill(keeper, signal.SIGCONT)  # it carries out the order that it got
    wait_until_down(cli.state)
    assert ends(runner)
    assert json.loads((cli.state / "report.json").read_text())["end"]["how"] == "killed"


def test_down_kill_ends_a_vm_whose_keeper_is_stopped(cli: Cli, family: tuple[int, int]) -> None:
    keeper, runner = family
    assert not is_stuck(cli.state)
    os.kill(keeper, signal.SIGSTOP)
    assert is_stuck(cli.state)  # so that nobody waits for an answer
    down = cli.run("down", "--kill", cli.name)
    assert (down.code, down.out) == (0, f"{cli.name} is down\n")
    assert ends(keeper)
    assert ends(runner)
    assert not cli.state.exists()


def test_a_runner_that_is_stopped_is_killed_by_its_keeper(cli: Cli, family: tuple[int, int]) -> None:
    os.kill(family[1], signal.SIGSTOP)
    assert not is_stuck(cli.state)
    assert cli.run("down", "--kill", cli.name).code == 0
    assert ends(family[1])
    assert not cli.state.exists()


def test_a_runner_that_was_stopped_for_a_while_goes_on(cli: Cli, payload: Payload) -> None:
    up = cli.start("up", cli.spec(payload("echo")), stdin=subprocess.PIPE)
    assert up.stdin is not None
    assert up.stdout is not None
    up.stdin.write("a")
    up.stdin.flush()
    assert up.stdout.read(1) == "a"
    for pid in processes_of(up.pid):
        os.kill(pid, signal.SIGSTOP)
        os.kill(pid, signal.SIGCONT)
    out, _ = up.communicate("bc.", timeout=PATIENCE)
    assert (up.returncode, out) == (0, "bc.")


def test_a_runner_whose_keeper_died_while_it_was_stopped_is_found_and_cleared_away(
    cli: Cli, family: tuple[int, int]
) -> None:
    keeper, runner = family
    os.kill(runner, signal.SIGSTOP)
    kill(keeper)
    assert ends(keeper)
    (left,) = [one for one in cli.run("doctor", "--json").json()["checks"] if cli.name in one["fact"]]
    assert left["code"] == "W540"
    assert f"process {runner} (stopped)" in left["fact"]
    assert left["remedy"] == f"`vmlaunch down --kill {cli.name}`"
    down = cli.run("down", cli.name)
    assert down.code == 1
    assert f"is held by process {runner} (stopped)" in down.err
    assert is_stuck(cli.state)
    assert cli.run("down", "--kill", cli.name).code == 0
    assert ends(runner)
    assert not cli.state.exists()


def test_a_vm_whose_state_folder_was_deleted_is_found_and_ends_by_a_signal(cli: Cli, family: tuple[int, int]) -> None:
    shutil.rmtree(cli.state)
    try:
        down = cli.run("down", cli.name)
        assert (down.code, "its state folder was deleted" in down.err) == (1, True)
        (left,) = [one for one in cli.run("doctor", "--json").json()["checks"] if cli.name in one["fact"]]
        assert (left["code"], left["remedy"].split("`")[1]) == ("W542", f"kill -TERM {family[0]}")
    finally:  # nobody else would find it
        os.kill(family[0], signal.SIGINT)
    assert ends(family[0])
    assert ends(family[1])
    assert cli.name not in cli.run("doctor").out


@pytest.mark.parametrize("verb", ["inspect", "console", "logs"])
def test_who_looks_at_a_vm_whose_keeper_is_stopped_can_leave(cli: Cli, family: tuple[int, int], verb: str) -> None:
    os.kill(family[0], signal.SIGSTOP)
    looking = cli.start(verb, cli.name)
    if verb != "inspect":  # it gives up by itself
        looking.send_signal(signal.SIGTERM)
    looking.communicate(timeout=PATIENCE)
    os.kill(family[0], signal.SIGCONT)
    assert cli.run("ps", "--names").out.split().count(cli.name) == 1


def test_up_waits_for_one_of_the_name_that_is_on_its_way_out(cli: Cli, family: tuple[int, int]) -> None:
    keeper, runner = family
    os.kill(runner, signal.SIGSTOP)
    kill(keeper)
    assert ends(keeper)
    spec = next(cli.folder.glob("*.yaml"))
    up = cli.start("up", "-d", spec)
    assert up.stderr is not None
    assert up.stderr.readline() == f"{cli.name} is going down; waiting for it\n"
    os.kill(runner, signal.SIGCONT)
    out, err = up.communicate(timeout=PATIENCE)
    assert up.returncode == 0, err
    assert f"{cli.name}  running" in out


def shell(script: str, *words: str) -> subprocess.CompletedProcess[str]:
    """`script` finds the words in $@."""
    command = ["sh", "-c", script, "sh", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, check=False)


# ---- no room in /run ----


def with_run_of(cli: Cli, options: str, *words: object) -> subprocess.CompletedProcess[str]:
    """vmlaunch on a /run/vmlaunch of its own, as small as that; stdout ends with what stays there."""
    STATE.mkdir(mode=0o700, exist_ok=True)
    there = f'mount -t tmpfs -o {options} tmpfs {STATE}; "$@"; code=$?; find {STATE} -mindepth 1; exit $code'
    return shell(f"exec unshare -m sh -c '{there}' sh \"$@\"", *cli.command(*words))


@for_root
@pytest.mark.parametrize("options", ["size=4k", "size=8k", "nr_inodes=3", "nr_inodes=4", "nr_inodes=5"])
def test_a_run_without_room_for_the_journal_is_a_failed_step_and_nothing_stays(
    cli: Cli, payload: Payload, options: str
) -> None:
    done = with_run_of(cli, options, "up", cli.spec(payload("string_io")))
    assert done.returncode == 11
    assert "error[E501]: failed to keep state in /run/vmlaunch/" in done.stderr
    assert "No space left on device" in done.stderr
    assert done.stdout == ""


@for_root
def test_a_run_without_room_for_a_folder_is_refused(cli: Cli, payload: Payload) -> None:
    done = with_run_of(cli, "nr_inodes=1", "up", cli.spec(payload("string_io")))
    assert done.returncode == 1
    assert "error[E508]: failed to make /run/vmlaunch/" in done.stderr


@for_root
@pytest.mark.parametrize("options", ["size=12k", "size=16k", "nr_inodes=7"])
def test_a_run_without_room_for_the_records_costs_the_records_only(cli: Cli, payload: Payload, options: str) -> None:
    done = with_run_of(cli, options, "up", cli.spec(payload("string_io")))
    assert done.returncode == 0, done.stderr
    assert "warning[W501]: failed to keep the " in done.stderr


# ---- no memory ----


@pytest.fixture
def small_group() -> Iterator[Path]:
    """A cgroup for 96 MiB of memory."""
    for root, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = root / f"vmlaunch-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / limit).exists():
            (group / limit).write_text(str(96 * MIB))
            yield group
            group.rmdir()
            return
        group.rmdir()
    pytest.skip("no cgroup for memory can be made here")


def test_a_host_without_memory_for_what_the_guest_touches_loses_the_runner_and_says_so(
    cli: Cli, payload: Payload, small_group: Path
) -> None:
    command = cli.command("up", cli.spec(payload("hungry"), memory="256MiB"))
    done = shell(f'echo $$ > {small_group}/cgroup.procs; exec "$@"', *command)
    assert done.returncode == 11, done.stderr
    assert "error[E502]: the runner was killed by SIGKILL" in done.stderr
    assert "the host is as it was" in done.stderr


def test_a_limit_on_addresses_is_foretold(cli: Cli, payload: Payload) -> None:
    command = cli.command("up", cli.spec(payload("string_io"), memory="8GiB"))
    done = shell('ulimit -v 4000000; exec "$@"', *command)
    assert done.returncode == 1, done.stderr
    assert "error[E322]: " in done.stderr
    assert "nothing was changed" in done.stderr


# ---- nobody listens ----


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_keep_no_vm_from_running(cli: Cli, payload: Payload, closed: str) -> None:
    assert shell(f'exec "$@" {closed}', *cli.command("up", cli.spec(payload("string_io")))).returncode == 0
    assert json.loads((cli.state / "report.json").read_text())["end"]["how"] == "power-off"


@pytest.mark.parametrize("verb", ["up", "plan"])
def test_a_full_stdout_is_said_and_is_no_bug(cli: Cli, payload: Payload, verb: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = cli.start(verb, cli.spec(payload("talks")), stdout=full)
        _, err = done.communicate(timeout=PATIENCE)
    assert done.returncode == 74
    assert "vmlaunch: failed to write the output: No space left on device" in err
    wait_until_down(cli.state)


def test_a_terminal_that_hangs_up_takes_its_vm_along(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("spin"))
    up, terminal = pty.fork()
    if up == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, cli.command("up", spec))
    seen = b""
    while not seen.endswith(b"!"):
        seen += os.read(terminal, 4096)
    family = processes_of(up)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(up, 0)[1]) in (128 + signal.SIGHUP, 74)
    assert all(map(ends, family))
    end = json.loads((cli.state / "report.json").read_text())["end"]
    assert (end["how"], end["exit_code"]) == ("killed", 128 + signal.SIGHUP)
