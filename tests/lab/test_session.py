"""Sessions in lab hosts, with machines that are shell scripts: what is lost, what is seen, what runs when."""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.account import FINISHED, STARTED, WITHOUT_HYPOTHESIS
from tests.conftest import PATIENCE, ROOT
from tests.lab import nudge
from tests.lab.boot import Ended, Job, Sink, watch
from tests.lab.hosts import HOSTS, Host
from tests.lab.progress import ERASED, Progress
from tests.lab.session import BOOTS, LAB, LONG, Patience, Session, hold
from tests.lab.together import MANY, Share, hold_all, shares


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
    return hold(HOSTS["plain"], tests.split(), folder, Progress("plain", out or io.StringIO()), machine=machine)


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
    assert json.dumps(request.config.hook.pytest_report_to_serializable(config=request.config, report=report))


def test_a_flaw_of_the_emulation_is_forgiven_once(tmp_path: Path) -> None:
    lost = f"{began('a')}; {LOCKUP}"
    session = held(Played(lost, f"{ran('a')}; echo 0 >status"), "a", tmp_path / "1")
    assert (session.lost, session.left(), session.without_verdict) == ({}, [], False)
    session = held(Played(lost, lost, f"{ran('b')}; echo 0 >status"), "a b", tmp_path / "2")
    assert (list(session.lost), session.left(), session.without_verdict) == (["a"], [], True)


def test_so_is_an_emulator_that_ends_or_hangs(tmp_path: Path) -> None:
    """Of each test, once."""
    machine = Played(began("a"), f"{ran('a')}; {began('b')}", f"{ran('b')}; echo 0 >status")
    session = held(machine, "a b", tmp_path / "1")
    assert (list(session.forgiven), session.lost, session.left()) == (["a", "b"], {}, [])
    session = held(Played(began("a")), "a b", tmp_path / "2")
    assert (list(session.lost), session.left(), session.without_verdict) == (["a"], ["b"], True)


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


def test_a_machine_may_be_silent_as_long_as_it_has_a_pulse() -> None:
    patience = Patience(-1)
    assert patience.why(None) == "said nothing for -1 s"
    assert patience.why("a") == "said nothing for -1 s, in a"
    patience = Patience(PATIENCE)
    patience.write(b".")
    assert patience.why("a") == ""


def test_a_machine_is_woken_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether its QMP is there already, or no more."""
    monkeypatch.setattr(nudge, "EVERY", -1)
    one = nudge.Nudge(tmp_path / "qmp")
    one.give()
    with socket.create_server(str(tmp_path / "qmp"), family=socket.AF_UNIX) as qmp:
        one.give()
        client, _ = qmp.accept()
        one.give()
        said = client.recv(1 << 16)
        client.close()
    assert [json.loads(line)["execute"] for line in said.replace(b"}{", b"}\n{").splitlines()] == [
        "qmp_capabilities",
        "send-key",
        "send-key",
    ]
    one.give()
    one.close()


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
    bare = {name: value for name, value in os.environ.items() if name not in (LAB, LONG)}
    fast = ("-p", "no:cacheprovider", *WITHOUT_HYPOTHESIS)
    command = [sys.executable, "-m", "pytest", "-q", "--collect-only", *fast, "tests/lab/inside"]
    done = subprocess.run(command, cwd=ROOT, env=bare | environment, capture_output=True, text=True, check=True)
    return {line for line in done.stdout.splitlines() if "::" in line}


def test_a_short_round_in_one_host_then_what_a_commit_has_then_all() -> None:
    short, lab, long = chosen(), chosen(**{LAB: "1"}), chosen(**{LONG: "1"})
    assert short < lab < long
    assert all("[zoo" in test for test in short)
    assert all("[zoo" in test or "[amd" in test for test in lab)


def test_a_host_is_not_charged_to_its_first_test(request: pytest.FixtureRequest) -> None:
    """pytest's limit for one test: outside it would hold for the machine of all of them."""
    outside = [item for item in request.session.items if item.path.parent.name == "inside"]
    assert all(item.get_closest_marker("timeout").args == (0,) for item in outside)
    assert request.node.get_closest_marker("timeout").args[0] > PATIENCE


def test_a_host_with_many_tests_is_shared_out_to_two_machines() -> None:
    zoo = [str(number) for number in range(MANY + 1)]
    first, second, amd = shares({HOSTS["zoo"]: zoo, HOSTS["amd"]: ["a"]}, 2)
    assert (first.name, second.name, amd.name) == ("zoo.1", "zoo.2", "amd")
    assert (first.tests, second.tests) == (tuple(zoo[::2]), tuple(zoo[1::2]))
    assert [share.name for share in shares({HOSTS["zoo"]: zoo}, 1)] == ["zoo"]


def test_machines_of_one_processor_run_two_at_a_time_and_others_alone() -> None:
    both = threading.Barrier(2)
    running: list[str] = []

    def held(share: Share, stop: Callable[[], str]) -> str:
        running.append(share.name)
        if share.host.cpus == 1:
            both.wait(PATIENCE)
        else:
            assert running == [share.name]
        running.remove(share.name)
        return share.name

    hosts = (HOSTS["large"], HOSTS["zoo"], HOSTS["amd"])
    done = hold_all([Share(host.name, host, ("a",)) for host in hosts], 2, held)
    assert {share.name for share in done} == set(done.values()) == {"large", "zoo", "amd"}


def test_an_interrupt_stops_all_machines_and_starts_no_other() -> None:
    seen = []

    def held(share: Share, stop: Callable[[], str]) -> None:
        seen.append(share.name)
        if share.name == "first":
            raise KeyboardInterrupt
        while not stop():
            pass

    every = [Share(name, HOSTS["zoo"], ("a",)) for name in ("first", "second", "third", "fourth")]
    with pytest.raises(KeyboardInterrupt):
        hold_all(every, 2, held)
    assert "fourth" not in seen


def test_a_session_that_has_to_stop_boots_no_other_machine(tmp_path: Path) -> None:
    machine = Played(PANIC)
    hold(HOSTS["plain"], ["a"], tmp_path, Progress("plain", io.StringIO()), lambda: "was interrupted", machine)
    assert len(machine.asked) == 1
