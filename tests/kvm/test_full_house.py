"""Every command answers: with hundreds of connections open, a keeper that is deaf, a runner that does not leave."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from launcher.vms.channel import Channel, Closed
from tests.conftest import PATIENCE, Cli, ends, kill

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]
READERS = 100


@pytest.fixture
def vm(cli: Cli, payload: Payload) -> Iterator[tuple[int, int]]:
    """Keeper and runner of a VM whose guest never ends by itself; let go on at the end."""
    assert cli.run("up", "-d", cli.spec(payload("spin"))).code == 0
    report = cli.run("inspect", cli.name, "--json").json()["report"]
    yield report["pid"], report["runner"]
    for pid in (report["pid"], report["runner"]):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


@pytest.fixture
def house(cli: Cli) -> Iterator[Callable[..., list[Channel]]]:
    """Connects so many; each says `words`, and then nothing more."""
    with ExitStack() as stack:

        def fill(count: int, *words: dict[str, object]) -> list[Channel]:
            made = []
            for _ in range(count):
                made.append(Channel(_connected(cli.state / "control.sock")))
                stack.callback(made[-1].close)
                for one in words:
                    with suppress(Closed):
                        made[-1].send(one)
            return made

        yield fill


def _connected(path: Path) -> socket.socket:
    """Waits at the door if need be."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    connection.connect(str(path))
    return connection


WATCH = {"do": "watch", "name": "test", "all": False}
CROWDS = {
    "silent": (READERS, ()),
    "a thousand": (1000, ()),
    "readers": (READERS, (WATCH,)),
    "curious": (3 * READERS, ({"do": "report"},)),
    "typing": (READERS, ({"do": "type", "on": True},)),
}


@pytest.mark.parametrize("force", [False, True], ids=["down", "kill"])
@pytest.mark.parametrize("crowd", list(CROWDS))
@pytest.mark.usefixtures("vm")
def test_whoever_fills_the_house_orders_are_heard(
    cli: Cli, house: Callable[..., list[Channel]], crowd: str, force: bool
) -> None:
    count, words = CROWDS[crowd]
    house(count, *words)
    inspected = cli.run("inspect", cli.name, "--json")
    assert inspected.code == 0, inspected.err
    assert inspected.json()["report"]["phase"] == "running"
    assert [cli.name, "running"] in [line.split()[:2] for line in cli.run("ps").out.splitlines()]
    spec = next(cli.folder.glob("*.yaml"))
    assert cli.run("up", "-d", spec).out == f"{cli.name} is already up\n"
    done = cli.run("down", *(["--kill"] if force else []), cli.name)
    assert (done.code, done.out.startswith(f"{cli.name} is down: "), done.err) == (0, True, "")
    assert not cli.state.exists()


@pytest.mark.usefixtures("vm")
def test_one_reader_too_many_is_told_so_and_the_next_gets_the_place_of_who_leaves(
    cli: Cli, house: Callable[..., list[Channel]]
) -> None:
    readers = house(READERS, WATCH)
    for verb in (("logs", "-f"), ("console",)):
        done = cli.run(*verb, cli.name)
        assert done.code == 1
        assert f"error[E550]: {READERS} read the console of {cli.name} already" in done.err
    assert cli.run("logs", cli.name).out == "!"
    readers[0].close()
    last = cli.start("console", cli.name)
    assert last.stdout is not None
    assert last.stdout.read(1) == "!"
    last.send_signal(signal.SIGTERM)
    last.communicate(timeout=PATIENCE)


def test_who_stays_is_not_driven_out_by_those_who_come_and_go(
    cli: Cli, payload: Payload, house: Callable[..., list[Channel]]
) -> None:
    up = cli.start("up", cli.spec(payload("echo")), stdin=subprocess.PIPE)
    assert up.stdin is not None
    assert up.stdout is not None
    up.stdin.write("a")
    up.stdin.flush()
    assert up.stdout.read(1) == "a"
    house(300)
    house(READERS, WATCH)
    out, err = up.communicate("bc.", timeout=PATIENCE)
    assert (up.returncode, out) == (0, "bc."), err


def test_a_keeper_without_descriptors_lets_an_order_in(cli: Cli, payload: Payload) -> None:
    """Its readers have to make room."""
    few = ["prlimit", "--nofile=64:64", *cli.command("up", "-d", cli.spec(payload("spin")))]
    assert subprocess.run(few, capture_output=True, check=False, timeout=PATIENCE).returncode == 0
    readers = []
    for _ in range(70):
        readers.append(Channel(_connected(cli.state / "control.sock")))
        with suppress(Closed):
            readers[-1].send(WATCH)
    assert cli.run("inspect", cli.name).code == 0
    assert cli.run("down", "--kill", cli.name).code == 0
    for one in readers:
        one.close()


# ---- a keeper that is deaf ----


@pytest.mark.parametrize("verb", [("inspect",), ("logs", "-f"), ("console",), ("down",)], ids=" ".join)
@pytest.mark.parametrize("queue", [0, 300], ids=["alone", "queue"])
def test_who_asks_a_deaf_keeper_says_whom_it_waits_for_and_gives_up(
    cli: Cli, vm: tuple[int, int], verb: tuple[str, ...], queue: int
) -> None:
    os.kill(vm[0], signal.SIGSTOP)
    knocking = []
    with suppress(BlockingIOError):  # the door is full
        for _ in range(queue):
            knocking.append(Channel.connect(cli.state / "control.sock"))
    done = cli.run(*verb, cli.name)
    assert done.code == 1
    waiting, *_ = done.err.splitlines()
    assert waiting.startswith(f"waiting for the keeper of {cli.name} to answer: process {vm[0]} (stopped), ")
    assert f"error[E519]: the keeper of {cli.name} does not answer" in done.err
    assert [cli.name, "running"] in [line.split()[:2] for line in cli.run("ps").out.splitlines()]
    down = cli.run("down", "--kill", cli.name)
    assert (down.code, down.out) == (0, f"{cli.name} is down\n")
    for one in knocking:
        one.close()


def test_down_names_the_runner_that_does_not_leave(cli: Cli, vm: tuple[int, int]) -> None:
    """Its keeper has died; it goes on when it is let, and `down` clears up."""
    keeper, runner = vm
    with stuck(runner):
        kill(keeper)
        assert ends(keeper)
        down = cli.start("down", cli.name)
        assert down.stderr is not None
        line = down.stderr.readline()
        assert line.startswith(f"waiting for the runner of {cli.name} to leave, for its keeper has died: process ")
        assert "at most" in line
    out, err = down.communicate(timeout=PATIENCE)
    assert (down.returncode, out) == (0, f"{cli.name} is down\n"), err


class stuck:
    """Frozen by its cgroup, which is no SIGSTOP: it looks as if the kernel held it."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._group = Path(f"/sys/fs/cgroup/freezer/vmlaunch-test-{os.getpid()}")

    def __enter__(self) -> None:
        try:
            self._group.mkdir()
        except OSError:
            pytest.skip("no cgroup that freezes can be made here")
        (self._group / "cgroup.procs").write_text(str(self._pid))
        (self._group / "freezer.state").write_text("FROZEN")

    def __exit__(self, *_: object) -> None:
        (self._group / "freezer.state").write_text("THAWED")
        assert ends(self._pid)
        self._group.rmdir()


def test_a_keeper_that_is_deaf_but_not_stopped_is_killed_by_down_kill(cli: Cli, vm: tuple[int, int]) -> None:
    with stuck(vm[0]):
        down = cli.start("down", "--kill", cli.name)
        assert down.stderr is not None
        assert down.stderr.readline().startswith(f"waiting for the keeper of {cli.name} to answer: process {vm[0]}")
        assert ends(vm[1])  # it is told nothing, and killed
    out, err = down.communicate(timeout=PATIENCE)
    assert (down.returncode, out) == (0, f"{cli.name} is down\n"), err
    assert not cli.state.exists()
