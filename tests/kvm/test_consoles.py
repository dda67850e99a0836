"""Life with a VM that runs: looked at, listened to, typed into, left alone and found again."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO

import pytest

from launcher.vms.channel import Channel, Closed
from launcher.vms.looking import wait_until_down
from tests.conftest import PATIENCE, Cli, kill, processes_of

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]


@pytest.fixture
def echoing(cli: Cli, payload: Payload) -> str:
    """The name of a VM that is up, whose guest says what it is told, and powers off at a full stop."""
    assert cli.run("up", "-d", cli.spec(payload("echo"))).code == 0
    return cli.name


def heard(process: subprocess.Popen[str], text: str) -> None:
    """Wait until its stdout says so."""
    out: IO[str] | None = process.stdout
    assert out is not None
    assert out.read(len(text)) == text


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def report_of(cli: Cli) -> dict[str, object]:
    found: dict[str, object] = cli.run("inspect", cli.name, "--json").json()["report"]
    return found


class Terminal:
    """A console on a terminal of its own."""

    def __init__(self, cli: Cli, *words: str) -> None:
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.execv(cli.command()[0], cli.command(*words))
        self._seen = b""

    def sees(self, *texts: str) -> None:
        """In any order: who comes later may see the last lines before it hears what it is."""
        while not all(text.encode() in self._seen for text in texts):
            assert select.select([self._fd], [], [], PATIENCE)[0], self._seen
            self._seen += os.read(self._fd, 4096)
        self._seen = self._seen[max(self._seen.index(text.encode()) + len(text) for text in texts) :]

    def type(self, keys: str) -> None:
        os.write(self._fd, keys.encode())

    def rest(self) -> bytes:
        """All that is said until nobody has the terminal any more."""
        with suppress(OSError):  # EIO: they have gone
            while piece := os.read(self._fd, 4096):
                self._seen += piece
        assert self.code() == 0
        return self._seen

    def code(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def terminal(cli: Cli) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def attach(*words: str) -> Terminal:
        opened.append(Terminal(cli, *words))
        return opened[-1]

    yield attach
    for one in opened:
        one.close()


STEERS = b"\x1b]0;set by the guest\x07"


def said_on(terminal: Callable[..., Terminal], *words: str) -> bytes:
    """All that stands on a terminal by the end of the command."""
    one = terminal(*words)
    return one.rest()


@pytest.fixture
def steering(cli: Cli, payload: Payload) -> str:
    """The name of a VM whose guest has said what steers terminals, and has powered off."""
    subprocess.run(cli.command("up", cli.spec(payload("steers"))), capture_output=True, check=True)
    return cli.name


def test_logs_on_a_terminal_are_read_and_not_obeyed(steering: str, terminal: Callable[..., Terminal]) -> None:
    said = said_on(terminal, "logs", steering)
    assert not re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x9b]|\xc2[\x80-\x9f]|\xe2\x80\xae|\r[^\r\n]", said)
    assert rb"title \x1b]0;set by the guest\x07 clipboard \x1b]52;" in said
    assert rb"C1 \x9b2J raw \x9b2J turned \u202etxet" in said
    assert rb"password: \rnothing" in said
    assert "stays: ä 漢 🚀".encode() in said
    assert b"wiped\tasked" in said


def test_logs_pass_on_what_they_are_asked_to_and_what_no_terminal_obeys(
    cli: Cli, steering: str, terminal: Callable[..., Terminal]
) -> None:
    assert STEERS in said_on(terminal, "logs", "--raw", steering)
    piped = subprocess.run(cli.command("logs", steering), capture_output=True, check=True).stdout
    assert STEERS in piped
    assert b"raw \x9b2J" in piped


def test_up_and_console_pass_the_guests_words_on(cli: Cli, payload: Payload, terminal: Callable[..., Terminal]) -> None:
    assert STEERS in said_on(terminal, "up", str(cli.spec(payload("steers"))))


def test_logs_that_follow_draw_a_guest_that_goes_on(cli: Cli, echoing: str, terminal: Callable[..., Terminal]) -> None:
    logs = terminal("logs", "-f", echoing)
    cli.run("console", echoing, stdin="\x1b[2J.")
    said = logs.rest()
    assert rb"\x1b[2J." in said
    assert b"\x1b" not in said


def test_logs_follow_from_the_last_lines(cli: Cli, echoing: str) -> None:
    console = cli.start("console", echoing, stdin=subprocess.PIPE)
    assert console.stdin is not None
    console.stdin.write("one\ntwo\nthree")
    console.stdin.flush()
    heard(console, "one\ntwo\nthree")
    logs = cli.start("logs", "-f", "-n", "2", echoing)
    heard(logs, "two\nthree")
    console.stdin.write(".")
    console.stdin.close()
    assert finish(logs)[:2] == (0, ".")
    assert console.wait(PATIENCE) == 0


# ---- console ----


def test_an_attached_up_says_how_it_is_left(cli: Cli, payload: Payload, terminal: Callable[..., Terminal]) -> None:
    up = terminal("up", str(cli.spec(payload("echo"))))
    up.sees("run 1 vCPU", "[attached: ^] d leaves, ^] ? says more]")
    up.type("\x1dd")
    up.rest()
    assert report_of(cli)["phase"] == "running"


def test_what_is_piped_into_a_console_reaches_the_guest_and_the_end_is_the_guests(cli: Cli, echoing: str) -> None:
    done = cli.run("console", echoing, stdin="hello.")
    assert (done.code, done.out) == (0, "hello.")
    assert f"{echoing} ended: the guest powered off" in done.err


def test_a_console_ends_with_the_exit_code_of_its_vm(cli: Cli, payload: Payload) -> None:
    cli.run("up", "-d", cli.spec(payload("spin")))
    console = cli.start("console", cli.name)
    heard(console, "!")
    cli.run("down", "--kill", cli.name)
    code, _, err = finish(console)
    assert code == 128 + signal.SIGTERM
    assert "stopped by force: down" in err


def test_a_console_that_is_ended_leaves_the_vm_running(
    cli: Cli, echoing: str, terminal: Callable[..., Terminal]
) -> None:
    console = cli.start("console", echoing, stdin=subprocess.PIPE)
    assert console.stdin is not None
    console.stdin.write("x")
    console.stdin.flush()
    heard(console, "x")
    console.send_signal(signal.SIGTERM)
    code, _, err = finish(console)
    assert (code, err) == (128 + signal.SIGTERM, f"left {echoing} running\n")
    assert report_of(cli)["phase"] == "running"


def test_keys_leave_the_console_and_the_next_one_sees_the_line_where_it_was(
    echoing: str, terminal: Callable[..., Terminal]
) -> None:
    first = terminal("console", echoing)
    first.sees("attached")
    first.type("login: ")
    first.sees("login: ")
    first.type("\x1dd")
    first.sees(f"left {echoing} running")
    assert first.code() == 0
    second = terminal("console", echoing)
    second.sees("login: ")
    second.type("me.")
    second.sees("me.")
    assert second.code() == 0


def test_of_two_consoles_the_first_writes_and_the_second_follows_it(
    cli: Cli, echoing: str, terminal: Callable[..., Terminal]
) -> None:
    writer = terminal("console", echoing)
    writer.sees("attached")
    writer.type("one")
    writer.sees("one")
    reader = terminal("console", echoing)
    reader.sees("attached to read", "one")
    reader.type("never")
    writer.type(" two")
    reader.sees(" two")
    assert [one["writer"] for one in report_of(cli)["readers"]] == [True, False]  # type: ignore[attr-defined]
    writer.type("\x1dd")
    assert writer.code() == 0
    reader.sees("you write now")
    reader.type(" three.")
    reader.sees(" three.")
    assert reader.code() == 0
    assert cli.run("logs", echoing).out == "one two three."


def test_what_the_guest_asked_of_a_terminal_before_is_not_asked_of_the_next(
    cli: Cli, echoing: str, terminal: Callable[..., Terminal]
) -> None:
    """What that answers would be typed: `login: ^[[27;1R`."""
    first = terminal("console", echoing)
    first.sees("attached")
    first.type("one\x1b[6n\x1b[c two")
    first.sees("one\x1b[6n\x1b[c two")
    first.type("\x1dd")
    assert first.code() == 0
    second = terminal("console", echoing)
    second.sees("one two")
    second.type("\x1b[6n three.")
    second.sees("\x1b[6n three.")
    assert second.code() == 0


def test_an_attached_up_that_has_no_more_to_say_lets_a_console_write(cli: Cli, payload: Payload) -> None:
    up = cli.start("up", cli.spec(payload("echo")), stdin=subprocess.PIPE)
    assert up.stdin is not None
    up.stdin.write("first ")
    up.stdin.flush()
    heard(up, "first ")
    console = cli.start("console", cli.name, stdin=subprocess.PIPE)
    assert console.stdin is not None
    console.stdin.write("second.")
    console.stdin.close()
    heard(console, "first ")
    up.stdin.close()
    up.stdin = console.stdin = None
    assert finish(console)[1] == "second."
    assert finish(up)[1] == "second."


def test_a_console_that_is_killed_costs_the_vm_nothing(cli: Cli, echoing: str) -> None:
    console = cli.start("console", echoing, stdin=subprocess.PIPE)
    assert console.stdin is not None
    console.stdin.write("x")
    console.stdin.flush()
    heard(console, "x")
    kill(console.pid)
    console.communicate()
    assert cli.run("console", echoing, stdin=".").out == "x."


def test_a_console_of_a_vm_that_has_ended_says_where_its_words_are(cli: Cli, echoing: str) -> None:
    cli.run("console", echoing, stdin="bye.")
    done = cli.run("console", echoing)
    assert done.code == 7
    assert f"`vmlaunch logs {echoing}`" in done.err


@pytest.mark.parametrize("verb", ["console", "logs", "inspect"])
def test_what_looks_at_a_vm_that_is_not_there_says_so(cli: Cli, verb: str) -> None:
    done = cli.run(verb, "nobody-has-this-name", "--json")
    assert done.code == 7
    assert done.json()["diagnostics"][0]["code"] == "E520"


# ---- logs ----


def test_a_log_is_followed_from_its_beginning_until_the_vm_ends(cli: Cli, echoing: str) -> None:
    console = cli.start("console", echoing, stdin=subprocess.PIPE)
    assert console.stdin is not None
    console.stdin.write("before ")
    console.stdin.flush()
    heard(console, "before ")
    following = cli.start("logs", "-f", echoing)
    heard(following, "before ")
    console.stdin.write("after.")
    console.stdin.close()
    console.stdin = None
    assert finish(following) == (0, "after.", "")
    assert finish(console)[0] == 0
    assert cli.run("logs", "-f", echoing).out == "before after."


def test_a_pipe_that_closes_ends_a_follower_although_the_guest_is_silent(cli: Cli, payload: Payload) -> None:
    cli.run("up", "-d", cli.spec(payload("spin")))
    following = cli.start("logs", "-f", cli.name)
    heard(following, "!")
    assert following.stdout is not None
    following.stdout.close()
    following.stdout = None
    assert finish(following)[::2] == (141, "")
    assert report_of(cli)["phase"] == "running"


def test_a_log_as_json_lines_ends_with_the_vm(cli: Cli, echoing: str) -> None:
    cli.run("console", echoing, stdin="hé.")
    done = cli.run("logs", "--json", echoing)
    assert [json.loads(line) for line in done.out.splitlines()] == [{"console": "hé."}]


def test_a_follower_whose_keeper_is_killed_says_so(cli: Cli, payload: Payload) -> None:
    cli.run("up", "-d", cli.spec(payload("spin")))
    keeper = report_of(cli)["pid"]
    following = cli.start("logs", "-f", cli.name)
    heard(following, "!")
    assert isinstance(keeper, int)
    kill(keeper)
    code, _, err = finish(following)
    assert code == 11
    assert f"error[E510]: the keeper of {cli.name} was lost" in err


# ---- inspect ----


def test_a_report_is_live(cli: Cli, echoing: str) -> None:
    console = cli.start("console", echoing, stdin=subprocess.PIPE)
    assert console.stdin is not None
    console.stdin.write("abc")
    console.stdin.flush()
    heard(console, "abc")
    found = cli.run("inspect", echoing, "--json").json()
    report = found["report"]
    assert (report["phase"], report["counts"]["serial_written"]) == ("running", 3)
    assert report["counts"]["serial_read"] == 3
    assert processes_of(report["pid"]) == [report["runner"]]
    assert report["readers"] == [{"name": "console", "writer": True, "behind": 0, "lost": 0}]
    assert found["plan"]["name"] == echoing
    console.kill()
    console.communicate()


def test_a_report_is_told_again_and_again_until_the_vm_has_ended(cli: Cli, echoing: str) -> None:
    watching = cli.start("inspect", echoing, "--watch", "--every", "0.1", "--json")
    assert watching.stdout is not None
    first, second = (json.loads(watching.stdout.readline())["report"] for _ in range(2))
    assert (first["phase"], second["phase"], first["end"]) == ("running", "running", None)
    long = cli.start("inspect", echoing, "--watch", "--every", "3600", "--json")  # the end is an event, and no poll
    assert long.stdout is not None
    assert json.loads(long.stdout.readline())["report"]["phase"] == "running"
    console = cli.start("console", echoing, stdin=subprocess.PIPE)
    console.communicate(".", timeout=PATIENCE)
    for one in (watching, long):
        out, err = one.communicate(timeout=PATIENCE)
        assert (one.returncode, err) == (0, "")
        assert json.loads(out.splitlines()[-1])["report"]["end"]["how"] == "power-off"


def test_a_runner_that_is_stopped_does_not_keep_the_report(cli: Cli, echoing: str) -> None:
    runner = report_of(cli)["runner"]
    assert isinstance(runner, int)
    os.kill(runner, signal.SIGSTOP)
    done = cli.run("inspect", echoing)
    os.kill(runner, signal.SIGCONT)
    assert done.code == 0
    assert "warning[W528]" in done.err
    assert f"{echoing}  running" in done.out


def test_the_report_of_a_vm_that_ended_is_kept(cli: Cli, echoing: str) -> None:
    cli.run("console", echoing, stdin="x.")
    done = cli.run("inspect", echoing)
    assert done.code == 0
    assert f"{echoing}  ended: the guest powered off" in done.out
    (entry,) = [one for one in cli.run("ps", "-a", "--json").json() if one["name"] == echoing]
    assert entry["started"] <= entry["ended"] == report_of(cli)["ended"]


def test_of_a_vm_that_was_lost_the_report_is_what_there_is(cli: Cli, echoing: str) -> None:
    before = report_of(cli)
    assert isinstance(before["pid"], int)
    kill(before["pid"])
    after = report_of(cli)
    assert after["end"] == {"how": "lost", "detail": "its keeper was lost", "exit_code": 11, "registers": {}}
    known, unknown = ("pid", "started", "memory"), ("seconds", "ended", "counts", "reboots", "failed_undos", "runner")
    assert [after[key] for key in known] == [before[key] for key in known]
    assert [after[key] for key in unknown] == [None] * len(unknown)
    text = cli.run("inspect", echoing)
    assert f"`vmlaunch down {echoing}`" in text.err
    assert text.out.startswith(f"{echoing}  lost: its keeper was lost\n")
    assert not re.search(r"teardown|written|nothing was changed", text.out)
    (entry,) = [one for one in cli.run("ps", "--json").json() if one["name"] == echoing]
    assert entry["phase"] == after["phase"] == "lost"


def test_words_that_are_no_orders_cost_the_vm_nothing(cli: Cli, echoing: str) -> None:
    odd: list[dict[str, object]] = [{"do": ["watch"]}, {"do": "watch", "name": ["x"] * 99, "all": "y"}, {"do": "type"}]
    odd += [{"do": "signal", "number": [15]}, {"do": "signal"}, *[{"do": "report"}] * 100, {"do": None}, {}]
    channel = Channel.connect(cli.state / "control.sock")
    for message in odd:
        channel.send(message)
    channel.send_bytes(b"never typed by who is not the writer.")
    assert report_of(cli)["phase"] == "running"
    channel.close()
    assert cli.run("console", echoing, stdin=".").out == "."


@pytest.mark.parametrize("end", ["stopped", "powered off"])
def test_who_listens_hears_once_that_it_is_ending_and_then_the_end(cli: Cli, payload: Payload, end: str) -> None:
    """There is something to get ready, while the VM is undone."""
    cli.run("up", "-d", cli.spec(payload("echo")))
    channel = Channel.connect(cli.state / "control.sock")
    channel.send({"do": "watch", "name": "a test", "all": False})
    if end == "stopped":
        channel.send({"do": "stop", "by": "a test", "timeout": 0})
    else:
        assert cli.run("console", cli.name, stdin=".").out == "."
    heard: list[str] = []
    with suppress(Closed):
        while packet := channel.receive():
            heard += packet.message or ()
    assert heard.count("ending") == 1
    assert heard.count("report") == 1
    assert "ending" not in heard[heard.index("report") :]


@pytest.mark.parametrize("timeout", [float("nan"), -1, "soon", None, 1e300])
def test_a_timeout_that_is_none_still_stops_the_vm(cli: Cli, payload: Payload, timeout: object) -> None:
    cli.run("up", "-d", cli.spec(payload("spin")))
    channel = Channel.connect(cli.state / "control.sock")
    channel.send({"do": "stop", "by": "a test", "timeout": timeout})
    wait_until_down(cli.state)
    channel.close()
    assert json.loads((cli.state / "report.json").read_text())["end"]["how"] == "killed"


def test_who_asks_without_end_and_does_not_listen_is_let_go_and_so_are_too_many(cli: Cli, payload: Payload) -> None:
    cli.run("up", "-d", cli.spec(payload("rests")))
    deaf = Channel.connect(cli.state / "control.sock")
    with suppress(Closed):
        for _ in range(10_000):
            deaf.send({"do": "report"})
    crowd = [Channel.connect(cli.state / "control.sock") for _ in range(120)]
    while crowd:
        crowd.pop().close()
    deaf.close()
    assert cli.run("inspect", "--json", cli.name).json()["report"]["phase"] == "running"


# ---- up --wait ----


def kept_exit_code(cli: Cli) -> object:
    """As `inspect` and `ps -a` say it, in one voice."""
    (one,) = [one for one in cli.run("ps", "-a", "--json").json() if one["name"] == cli.name]
    end = cli.run("inspect", cli.name, "--json").json()["report"]["end"]
    assert one["end"] == end
    return end["exit_code"]


def test_up_waits_for_what_the_guest_says_also_when_it_said_it_long_ago(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("spin"))
    first = cli.run("up", "-d", "--wait", "!", spec)
    assert first.code == 0
    assert f"{cli.name}  running" in first.out
    again = cli.run("up", "-d", "--wait", "!", spec)
    assert (again.code, again.out) == (0, f"{cli.name} is already up\n")


def test_the_report_after_waiting_is_of_what_was_waited_for(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", "-d", "--wait", "!", cli.spec(payload("spin")), "--json")
    report = json.loads(done.out.splitlines()[-1])["report"]
    assert report["phase"] == "running"
    assert report["counts"]["serial_written"] == 1


def test_a_guest_that_does_not_say_it_in_time_is_stopped(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", "-d", "--wait", "login:", "--timeout", "100ms", cli.spec(payload("spin")))
    assert done.code == 13
    assert "did not say 'login:' within 0.1 s" in done.err
    assert cli.name not in cli.run("ps", "--names").out
    assert kept_exit_code(cli) == 13


@pytest.mark.parametrize("detach", [["-d"], []], ids=["detached", "attached"])
def test_what_a_guest_says_after_its_time_is_too_late(cli: Cli, payload: Payload, detach: list[str]) -> None:
    done = cli.run("up", *detach, "--wait", "P", "--timeout", "200ms", cli.spec(payload("parting")))
    assert (cli.state / "console.log").read_text() == "!P"
    assert done.code == 13
    assert "did not say 'P' within 0.2 s" in done.err
    assert kept_exit_code(cli) == 13


def test_a_vm_that_was_up_before_is_not_stopped_for_what_it_does_not_say(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("spin"))
    cli.run("up", "-d", spec)
    again = cli.run("up", "-d", "--wait", "login:", "--timeout", "100ms", spec, "--json")
    assert (again.code, again.json()["diagnostics"][0]["code"]) == (13, "E528")
    assert report_of(cli)["phase"] == "running"


def test_a_guest_that_ends_without_saying_it_has_failed(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", "--wait", "PASS", cli.spec(payload("echo")), stdin="FAIL.")
    assert (done.code, done.out) == (13, "FAIL.")
    assert "did not say 'PASS' before it ended" in done.err
    assert kept_exit_code(cli) == 13


@pytest.mark.parametrize(("guest", "code"), [("spin", 143), ("button", 13)], ids=["by-force", "by-its-button"])
def test_a_vm_that_somebody_stops_before_its_guest_has_said_it_ends_with_the_code_of_that(
    cli: Cli, payload: Payload, guest: str, code: int
) -> None:
    up = cli.start("up", "--wait", "login:", cli.spec(payload(guest)))
    assert up.stdout is not None
    assert up.stdout.read(1) == "!"
    cli.run("down", "-t", "1s", cli.name)
    _, err = up.communicate(timeout=PATIENCE)
    assert (up.returncode, "did not say 'login:' before it ended" in err) == (code, True), err


def test_a_guest_that_says_it_may_end_as_it_likes(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", "--wait", "PASS", cli.spec(payload("echo")), stdin="PASS it.")
    assert (done.code, done.out) == (0, "PASS it.")


def test_who_leaves_waits_no_more_and_the_vm_ends_as_it_likes(
    cli: Cli, payload: Payload, terminal: Callable[..., Terminal]
) -> None:
    up = terminal("up", str(cli.spec(payload("echo"))), "--wait", "PASS")
    up.type("a")
    up.sees("a")
    up.type("\x1dd")
    assert up.code() == 0
    assert cli.run("console", cli.name, stdin=".").out == "a."
    assert kept_exit_code(cli) == 0


# ---- systemd ----


def words(manager: object, until: str) -> list[str]:
    """What a service manager hears, to the datagram that has this word."""
    said: list[str] = []
    while until not in said:
        said += manager.recv(4096).decode().splitlines()  # type: ignore[attr-defined]
    return said


@pytest.mark.parametrize("abstract", [False, True], ids=["path", "abstract"])
def test_a_service_manager_hears_when_it_runs_and_when_it_stops(
    cli: Cli, payload: Payload, tmp_path: Path, abstract: bool
) -> None:
    import socket

    path = f"vmlaunch-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(f"\0{path}" if abstract else path)
        manager.settimeout(PATIENCE)
        environment = {**os.environ, "NOTIFY_SOCKET": f"@{path}" if abstract else path}
        up = cli.start("up", cli.spec(payload("button")), env=environment)
        starting = words(manager, "READY=1")
        assert "STATUS=run 1 vCPU" in starting
        assert any(one.startswith("EXTEND_TIMEOUT_USEC=") for one in starting)
        assert not any(one.startswith("MAINPID=") for one in starting)
        heard(up, "!")
        up.send_signal(signal.SIGTERM)
        words(manager, "STOPPING=1")
        assert finish(up)[0] == 0


def test_a_service_manager_hears_which_process_stays_also_of_what_is_already_up(
    cli: Cli, payload: Payload, tmp_path: Path
) -> None:
    import socket

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(PATIENCE)
        environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify")}
        spec = cli.spec(payload("spin"))
        for status, words_of_up in (("running", ["-d"]), ("already up", ["-d"]), ("already up", [])):
            assert cli.run("up", *words_of_up, spec, env=environment).code == 0
            assert words(manager, f"STATUS={status}")[-3:-1] == [f"MAINPID={report_of(cli)['pid']}", "READY=1"]
