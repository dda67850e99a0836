"""Engines in the lives of VMs: killed with each process of theirs, of other users, and what is told of them."""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.kernel.confine import ON
from launcher.vms.looking import wait_until_down
from tests.conftest import PATIENCE, Cli, ends, kill, processes_of
from tests.disk_images import STORAGE_DAEMON, lettered, storage_daemon
from tests.name_spaces import needs_name_spaces
from tests.vm_with_disk import Payload, begun

pytestmark = [
    pytest.mark.kvm,
    needs_name_spaces,
    pytest.mark.skipif(storage_daemon() is None, reason=f"there is no {STORAGE_DAEMON}"),
]
OTHER = 12345
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's engines have other uids")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Which everybody may pass, unlike those of pytest."""
    with tempfile.TemporaryDirectory() as made:
        Path(made).chmod(0o711)
        yield Path(made)


def is_gone(pid: int) -> bool:
    """By its pidfd: it is not ours to reap."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    os.close(pidfd)
    return ends(pid)


def test_the_report_says_who_serves_a_disk_and_what_it_may_and_holds(
    cli: Cli, payload: Payload, tmp_path: Path
) -> None:
    image = lettered(tmp_path / "root.img")
    up, report = begun(cli, payload, image)
    (engine,) = report["engines"]
    assert (engine["aliases"], engine["state"], engine["uid"]) == (["root"], "runs", os.getuid())
    assert set(engine["measures"]) >= {"no_new_privs", "no_capabilities", "landlock", "seccomp"}
    assert f"process {engine['pid']}" in cli.run("inspect", cli.name).out
    assert engine["pid"] in processes_of(up.pid)
    held = cli.run("inspect", "-v", "--json", cli.name).json()["processes"][f"{STORAGE_DAEMON} of root"]
    assert (held["pid"], held["uids"], held["capabilities"]) == (engine["pid"], [os.getuid()] * 4, 0)
    assert [one for one in held["files"] if one.startswith("/")] == ["/dev/null", str(image)]
    assert engine["writes"] == ([str(image), os.devnull] if engine["measures"]["landlock"] == ON else ["/"])
    told = cli.run("inspect", "-v", cli.name).out.partition(f"{STORAGE_DAEMON} of root, process {engine['pid']}, ")[2]
    assert "capabilities  none" in told
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=PATIENCE)
    assert is_gone(engine["pid"])


@as_root
def test_a_disk_of_another_user_is_served_as_that_user(cli: Cli, payload: Payload, folder: Path) -> None:
    image = lettered(folder / "root.img")
    os.chown(image, OTHER, OTHER)
    image.chmod(0o600)
    up, report = begun(cli, payload, image)
    (engine,) = report["engines"]
    assert engine["uid"] == OTHER
    assert Path(f"/proc/{engine['pid']}").stat().st_uid == OTHER
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=PATIENCE)
    assert is_gone(engine["pid"])
    assert not (cli.state / "engine.sock").exists()


def owners() -> list[int]:
    return [0, OTHER] if os.geteuid() == 0 else [os.getuid()]


@pytest.mark.parametrize("owner", owners())
@pytest.mark.parametrize("victims", ["keeper", "runner", "engine", "keeper runner", "keeper engine", "all"])
def test_whoever_is_killed_nothing_is_left(cli: Cli, payload: Payload, folder: Path, victims: str, owner: int) -> None:
    image = lettered(folder / "root.img")
    os.chown(image, owner, -1)
    up, report = begun(cli, payload, image)
    pids = {"keeper": report["pid"], "runner": report["runner"], "engine": report["engines"][0]["pid"]}
    kill(*(pids[one] for one in (pids if victims == "all" else victims.split())))
    out, err = up.communicate(timeout=PATIENCE)
    assert up.returncode == 11, out + err
    code = "E510" if "keeper" in victims or victims == "all" else {"runner": "E502", "engine": "E560"}[victims]
    assert f"error[{code}]" in err, err
    assert all(map(is_gone, pids.values()))
    wait_until_down(cli.state)
    assert cli.run("down", cli.name).code == 0
    assert not cli.state.exists()
    again, _ = begun(cli, payload, image)  # no lock is left either
    again.send_signal(signal.SIGINT)
    again.communicate(timeout=PATIENCE)


def test_an_engine_that_died_is_told_with_its_status_and_its_last_words(
    cli: Cli, payload: Payload, tmp_path: Path
) -> None:
    up, report = begun(cli, payload, lettered(tmp_path / "root.img"))
    kill(report["engines"][0]["pid"])
    _, err = up.communicate(timeout=PATIENCE)
    assert f"error[E560]: {STORAGE_DAEMON}, which served root, was killed by SIGKILL" in err
    kept = json.loads((cli.state / "report.json").read_text()) if cli.state.exists() else None
    if kept:
        assert kept["engines"][0]["state"] == "died"
    assert "the host is as it was" in err or "nothing was changed" in err


def test_a_disk_that_another_vm_writes_is_refused(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    """By the plan, where it can be seen; and whatever it saw, by the keeper."""
    image = lettered(tmp_path / "root.img")
    up, _ = begun(cli, payload, image)
    name = cli.name
    boot = {"kernel": str(payload("blocks")), "cmdline": "reads 1"}
    other = cli.spec(Path("replaced"), name=f"{name}-2", boot=boot, disks={"root": str(image)})
    done = cli.run("up", other)
    assert done.code != 0
    assert "error[E" in done.err
    up.send_signal(signal.SIGINT)
    up.communicate(timeout=PATIENCE)
