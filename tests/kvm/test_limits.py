"""Real limits of the host: descriptors, addresses, processes of a cgroup, a /run that cannot be written."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.vms.folder_state import STATE as STATE_FILE
from launcher.vms.looking import is_lost, is_up
from tests.budget import LONG
from tests.conftest import EXAMPLES, PATIENCE, ROOT, STATE, Cli, Done

pytestmark = pytest.mark.kvm


def up_by(cli: Cli, script: str, **fields: object) -> Done:
    """`script` makes the limit and runs "$@"; whatever comes of it is in words, and nothing is left but a report."""
    command = ["sh", "-c", script, "sh", *cli.command("up", cli.spec(EXAMPLES / "hello.elf", **fields))]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, cwd=ROOT, check=False
    )
    assert done.returncode in (0, 1, 11), done.stderr
    assert "Traceback" not in done.stderr
    assert ("error[E" in done.stderr) == bool(done.returncode), done.stderr
    assert not is_up(cli.state)
    assert not is_lost(cli.state)
    assert not cli.state.exists() or (cli.state / STATE_FILE).exists()
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("most", range(6, 40) if LONG else (6, 8, 11, 13, 15, 16, 17))
def test_few_descriptors(cli: Cli, most: int) -> None:
    done = up_by(cli, f'exec prlimit --nofile={most}:{most} "$@"')
    if done.code and "error[E428]" not in done.err:  # what surely cannot be is foretold
        assert "Too many open files" in done.err
        assert "`ulimit -n` has the limit of open files" in done.err


@pytest.mark.parametrize("kib", range(20_000, 60_000, 1000) if LONG else (20_000, 30_000, 40_000, 50_000))
def test_little_room_for_addresses(cli: Cli, kib: int) -> None:
    assert up_by(cli, f'ulimit -v {kib}; exec "$@"').code in (1, 11)


@pytest.mark.parametrize("kib", [100_000, 400_000])
def test_no_room_for_the_stacks_of_threads(cli: Cli, kib: int) -> None:
    done = up_by(cli, f'ulimit -v {kib}; exec "$@"', cpus=64)
    assert done.code == 11
    assert "error[E501]: failed to run 64 vCPUs: Resource temporarily unavailable (pthread_create)" in done.err
    assert "`ulimit -u` has the limit of processes and threads" in done.err
    assert "the host is as it was" in done.err


@pytest.fixture
def few_tasks() -> Iterator[Path]:
    """A cgroup whose pids.max is to be written."""
    for root in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")):
        group = root / f"vmlaunch-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        if (group / "pids.max").exists():
            yield group
            group.rmdir()
            return
        group.rmdir()
    pytest.skip("no cgroup for processes can be made here")


@pytest.mark.parametrize(
    ("most", "what"),
    [(1, "fork the keeper"), (2, "fork the process that plans"), (4, "run 16 vCPUs"), (16, "run 16 vCPUs")],
)
def test_few_processes_and_threads(cli: Cli, few_tasks: Path, most: int, what: str) -> None:
    (few_tasks / "pids.max").write_text(str(most))
    done = up_by(cli, f'echo $$ > {few_tasks}/cgroup.procs; exec "$@"', cpus=16)
    refused = f"error[E501]: failed to {what}: Resource temporarily unavailable" in done.err
    assert (done.code, "error[E426]" in done.err, refused) in ((1, True, False), (11, False, True)), done.err


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize(
    ("there", "code", "word"),
    [
        (f"mount -t tmpfs -o ro tmpfs {STATE}", 1, "Read-only file system"),
        (f"mount -t tmpfs tmpfs {STATE.parent}", 0, ""),
        (f"mount -t tmpfs -o nr_inodes=1 tmpfs {STATE.parent}", 1, "No space left on device"),
    ],
    ids=["read-only", "missing", "full"],
)
def test_a_run_that_cannot_be_written(cli: Cli, there: str, code: int, word: str) -> None:
    STATE.mkdir(mode=0o700, exist_ok=True)
    done = up_by(cli, f'exec unshare -m sh -c \'{there} && exec "$@"\' sh "$@"')
    assert done.code == code, done.err
    assert word in done.err


def test_who_ignores_the_end_of_his_children_may_start_a_vm(cli: Cli) -> None:
    """A process hands that on to what it becomes."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        up = cli.start("up", cli.spec(EXAMPLES / "hello.elf"))
    finally:
        signal.signal(signal.SIGCHLD, before)
    _, err = up.communicate(timeout=PATIENCE)
    assert up.returncode == 0, err
