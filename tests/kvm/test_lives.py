"""Lives of VMs: stopped, killed, doubled, left behind. Nothing stays that should not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from launcher.vms.looking import wait_until_down
from tests.budget import LONG
from tests.conftest import PATIENCE, Cli, comes_true, ends, kill, processes_of

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]


@pytest.fixture
def spinning(cli: Cli, payload: Payload) -> subprocess.Popen[str]:
    """An attached `up` whose guest has spoken and never ends by itself."""
    return speaking(cli, payload("spin"))


def speaking(cli: Cli, kernel: Path, **more: Any) -> subprocess.Popen[str]:
    up = cli.start("up", cli.spec(kernel), **more)
    out: IO[str] | None = up.stdout
    assert out is not None
    assert out.read(1) == "!"
    return up


def finish(up: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = up.communicate(timeout=PATIENCE)
    return up.returncode, err


def mapped(pid: int) -> int:
    """KiB of files, code among them, that a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssFile"))


def test_who_waits_for_a_quiet_guest_has_no_code_in_memory_that_only_the_start_needed(
    cli: Cli, payload: Payload
) -> None:
    up = speaking(cli, payload("rests"))
    waiting = (up.pid, processes_of(up.pid)[0])
    before = [mapped(one) for one in waiting]
    assert comes_true(lambda: all(mapped(one) < was - 1024 for one, was in zip(waiting, before, strict=True)))
    up.send_signal(signal.SIGINT)
    assert finish(up)[0] == 128 + signal.SIGINT


def test_sigint_stops_a_guest_that_spins(cli: Cli, spinning: subprocess.Popen[str]) -> None:
    family = processes_of(spinning.pid)
    spinning.send_signal(signal.SIGINT)
    code, err = finish(spinning)
    assert code == 128 + signal.SIGINT
    assert "stopped by force: SIGINT" in err
    assert all(map(ends, family))


def test_sigterm_does_not_wait_for_a_guest_without_a_power_button(cli: Cli, spinning: subprocess.Popen[str]) -> None:
    spinning.send_signal(signal.SIGTERM)
    assert finish(spinning)[0] == 128 + signal.SIGTERM


def test_sigterm_is_a_power_button_to_a_guest_that_listens(cli: Cli, payload: Payload) -> None:
    up = speaking(cli, payload("button"))
    up.send_signal(signal.SIGTERM)
    code, err = finish(up)
    assert code == 0
    assert "powered off: SIGTERM" in err


def test_a_killed_runner_is_reported_and_nothing_is_left(cli: Cli, spinning: subprocess.Popen[str]) -> None:
    keeper, runner = processes_of(spinning.pid)
    kill(runner)
    code, err = finish(spinning)
    assert code == 11
    assert "error[E502]: the runner was killed by SIGKILL" in err
    assert "the host is as it was" in err
    assert ends(keeper)
    assert not (cli.state / "control.sock").exists()


def test_a_killed_keeper_takes_its_runner_along_and_the_next_up_says_so(
    cli: Cli, spinning: subprocess.Popen[str]
) -> None:
    keeper, runner = processes_of(spinning.pid)
    kill(keeper)
    code, err = finish(spinning)
    assert code == 11  # the plan had changed nothing on the host
    assert "error[E510]: the keeper was killed by SIGKILL" in err
    assert f"vmlaunch down {cli.name}" in err
    wait_until_down(cli.state)
    assert ends(runner)
    (entry,) = [one for one in cli.run("ps", "--json").json() if one["name"] == cli.name]
    assert entry["phase"] == "lost"
    again = cli.run("up", "-d", next(cli.folder.glob("*.yaml")))
    assert again.code == 0
    assert f"the keeper of {cli.name} had died; nothing is left of it on this host\n" in again.err
    assert cli.run("down", cli.name).code == 0
    assert not cli.state.exists()


def test_up_refuses_while_a_dead_vm_of_the_name_has_something_to_put_back(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("string_io"))
    cli.run("up", spec)
    journal = cli.state / "undo.jsonl"
    journal.write_text(json.dumps({"n": 3, "op": "of-another-version", "undo": {}}) + "\n")
    again = cli.run("up", spec)
    assert (again.code, "error[E513]" in again.err) == (1, True)
    assert f"run `vmlaunch down {cli.name}` first" in again.err
    journal.unlink()


def test_a_client_that_is_killed_takes_the_vm_along(cli: Cli, spinning: subprocess.Popen[str]) -> None:
    family = processes_of(spinning.pid)
    kill(spinning.pid)
    spinning.communicate()
    wait_until_down(cli.state)
    assert all(map(ends, family))
    assert json.loads((cli.state / "report.json").read_text())["end"]["how"] == "killed"


def test_a_reader_that_goes_away_stops_the_vm(cli: Cli, payload: Payload) -> None:
    up = speaking(cli, payload("talks"))
    family = processes_of(up.pid)
    assert up.stdout is not None
    up.stdout.close()
    up.stdout = None
    assert finish(up)[0] == 141
    assert all(map(ends, family))


def test_more_input_than_the_guest_reads_keeps_nobody_from_stopping_it(cli: Cli, payload: Payload) -> None:
    with Path("/dev/zero").open() as endless:
        up = speaking(cli, payload("spin"), stdin=endless)
        up.send_signal(signal.SIGINT)
        assert finish(up)[0] == 128 + signal.SIGINT


def test_input_that_nobody_reads_does_not_cost_the_report(cli: Cli, payload: Payload) -> None:
    with Path("/dev/zero").open() as endless:
        up = cli.start("up", cli.spec(payload("string_io")), stdin=endless)
        code, err = finish(up)
    assert code == 0
    assert "ended: the guest powered off" in err


def test_a_client_killed_with_input_pending_takes_the_vm_along(cli: Cli, payload: Payload) -> None:
    with Path("/dev/zero").open() as endless:
        up = speaking(cli, payload("spin"), stdin=endless)
        family = processes_of(up.pid)
        kill(up.pid)
        up.communicate()
    assert all(map(ends, family))


def test_a_reader_that_does_not_read_does_not_stop_the_guest(cli: Cli, payload: Payload) -> None:
    reading, writing = os.pipe()
    up = cli.start("up", cli.spec(payload("many_characters")), stdout=writing)
    os.close(writing)
    report = cli.state / "report.json"
    while not report.exists():  # the VM ends although nobody has read a byte of it
        assert up.poll() is None
        wait_until_down(cli.state)
    with os.fdopen(reading) as pipe:
        assert len(pipe.read()) == 100_000
    assert up.wait(PATIENCE) == 0


def test_detached_it_returns_when_the_vcpus_run_and_down_stops_it(cli: Cli, payload: Payload) -> None:
    done = cli.run("up", "-d", cli.spec(payload("spin")))
    assert done.code == 0
    assert f"{cli.name}  running" in done.out
    (entry,) = [one for one in cli.run("ps", "--json").json() if one["name"] == cli.name]
    assert entry["phase"] == "running"
    down = cli.run("down", cli.name)
    assert down.code == 0
    assert down.out == f"{cli.name} is down: stopped by force; the guest does not listen to its power button\n"
    assert ends(entry["keeper"])
    assert not cli.state.exists()


def test_down_takes_the_spec_for_the_name(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("spin"))
    cli.run("up", "-d", spec)
    assert cli.run("down", spec).out.startswith(f"{cli.name} is down: ")


def test_up_twice_is_already_up_and_a_changed_spec_is_refused_with_the_difference(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("spin"))
    cli.run("up", "-d", spec)
    again = cli.run("up", "-d", spec)
    assert (again.code, again.out) == (0, f"{cli.name} is already up\n")
    changed = cli.run("up", "-d", spec, "--set", "memory=64MiB")
    assert changed.code == 1
    assert "E507" in changed.err
    assert "-> take 64 MiB" in changed.err


def test_plan_says_whether_a_vm_of_the_name_is_up_and_with_another_plan(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("spin"))
    assert cli.run("plan", spec).err == ""
    cli.run("up", "-d", spec)
    same, changed = cli.run("plan", spec), cli.run("plan", spec, "--set", "memory=64MiB", "--json")
    assert (same.code, same.err) == (0, f"{cli.name} is up with this plan already\n")
    assert (changed.code, changed.json()["name"]) == (0, cli.name)
    assert changed.err.startswith(f"{cli.name} is up with another plan: `--diff` shows ")
    (cli.state / "plan.json").write_text('{"format_version": "9.9"}')
    unread = cli.run("plan", spec)
    assert (unread.code, unread.err.partition(": ")[0]) == (0, f"failed to read the plan of {cli.name}, which is up")


def test_a_saved_plan_that_is_up_is_already_up(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    spec, plan = cli.spec(payload("spin")), tmp_path / "vm.plan"
    assert cli.run("plan", spec, "-o", plan).code == 0
    first = cli.run("up", "-d", plan)
    assert first.code == 0, first.err
    again = cli.run("up", "-d", plan, "--json")
    assert (again.code, again.json()) == (0, {"already_up": cli.name})


def test_a_kernel_file_with_new_content_is_another_plan(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel.elf"
    kernel.write_bytes(payload("spin").read_bytes())
    spec = cli.spec(kernel)
    cli.run("up", "-d", spec)
    kernel.write_bytes(payload("button").read_bytes())
    again = cli.run("up", "-d", spec)
    assert again.code == 1
    assert "sha256" in again.err


def test_an_ended_vm_keeps_its_report_until_down(cli: Cli, payload: Payload) -> None:
    cli.run("up", "--no-reboot", cli.spec(payload("reset")))
    assert cli.name not in cli.run("ps", "--names").out
    assert cli.name in cli.run("ps", "-a", "--names").out
    cli.run("down", cli.name)
    assert cli.name not in cli.run("ps", "-a", "--names").out


def test_many_lives_leave_nothing_behind(cli: Cli, payload: Payload) -> None:
    spec = cli.spec(payload("string_io"))
    for _ in range(20 if LONG else 5):
        assert cli.run("up", spec).code == 0
    assert sorted(entry.name for entry in cli.state.iterdir()) == [
        "console.log",
        "plan.json",
        "report.json",
        "state.json",
        "undo.jsonl",
    ]
