"""What is refused before anything is touched, for real: no /dev/kvm, no permission, no such file, too little memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import EXAMPLES, Cli, Done

pytestmark = pytest.mark.kvm
SMALL_DEV = "mount -t tmpfs dev /dev && mknod /dev/null c 1 3 && chmod 666 /dev/null"
POWERLESS = "setpriv --bounding-set -all --inh-caps -all"
CAN_MOUNT = os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0


def up_in(cli: Cli, preparation: str, prefix: str = "") -> Done:
    """`up` in a mount namespace of its own, so that its /dev is what `preparation` makes of it."""
    spec = cli.spec(EXAMPLES / "hello.elf")
    script = f'{preparation} && exec {prefix} "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", *cli.command("up", spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not cli.state.exists()
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(not CAN_MOUNT, reason="only root may make a mount namespace")
@pytest.mark.parametrize(
    ("preparation", "prefix", "exit_code", "code"),
    [
        (SMALL_DEV, "", 1, "E401"),
        (f"{SMALL_DEV} && mknod -m 000 /dev/kvm c 10 232", POWERLESS, 4, "E402"),
        ("mount --bind /dev/null /dev/kvm", "", 1, "E403"),
    ],
    ids=["absent", "denied", "not KVM"],
)
def test_without_kvm_there_is_one_diagnostic(
    cli: Cli, preparation: str, prefix: str, exit_code: int, code: str
) -> None:
    done = up_in(cli, preparation, prefix)
    assert done.code == exit_code, done.err
    assert done.err.count("error[") == 1
    assert f"error[{code}]" in done.err
    assert "nothing was changed" in done.err


@pytest.mark.parametrize(
    ("kernel", "code"),
    [
        ("missing", "E410"),
        ("folder", "E413"),
        ("empty", "E414"),
        ("initrd", "E417"),
        ("text", "E418"),
        (shutil.which("true") or "/bin/true", "E416"),
    ],
)
def test_what_is_not_a_kernel_is_one_diagnostic(cli: Cli, tmp_path: Path, kernel: str, code: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty").touch()
    (tmp_path / "initrd").write_bytes(b"070701" + bytes(200))
    (tmp_path / "text").write_text("hello\n")
    done = cli.run("up", cli.spec(tmp_path / kernel))
    assert done.code == 1
    assert done.err.count("error[") == 1
    assert f"error[{code}]" in done.err
    assert not cli.state.exists()


@pytest.mark.parametrize(("memory", "code"), [("1000TiB", "E304"), ([{"size": "512GiB", "pages": "2MiB"}], "E302")])
def test_more_memory_than_there_is_is_refused(cli: Cli, memory: object, code: str) -> None:
    done = cli.run("up", cli.spec(EXAMPLES / "hello.elf", memory=memory))
    assert done.code == 1
    assert f"error[{code}]" in done.err
    assert not cli.state.exists()


def test_plan_writes_to_nothing_but_stdout_and_stderr(cli: Cli, tmp_path: Path) -> None:
    """Every call that could change the host, watched by strace."""
    trace = tmp_path / "trace"
    watched = "%file,write,pwrite64,writev,%network,mount,ioctl"
    spec = cli.spec(EXAMPLES / "hello.elf")
    subprocess.run(
        ["strace", "-f", "-qq", "-e", f"trace={watched}", "-o", trace, *cli.command("plan", spec)],
        check=True,
        stdout=subprocess.DEVNULL,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
    )
    changes = [line for line in trace.read_text().splitlines() if changes_something(line)]
    assert changes == []


def changes_something(line: str) -> bool:
    call = line.split(" ", 1)[1].strip()
    name = call.split("(")[0]
    if name in ("write", "writev", "pwrite64"):
        return not call.startswith(("write(1,", "write(2,"))
    if name in ("open", "openat", "creat"):
        return any(flag in call for flag in ("O_WRONLY", "O_CREAT", "O_TRUNC")) or (
            "O_RDWR" in call and not any(name in call for name in ("/dev/kvm", "/dev/null"))
        )
    if name == "ioctl":
        return "KVM_CREATE" in call or "KVM_SET" in call
    return name in (
        "mkdir",
        "unlink",
        "unlinkat",
        "rename",
        "renameat2",
        "chmod",
        "mknod",
        "symlink",
        "connect",
        "bind",
        "mount",
    )


def test_two_plans_from_one_facts_file_are_the_same_bytes(cli: Cli, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    facts.write_text(cli.run("devices", "--json").out)
    spec = cli.spec(EXAMPLES / "hello.elf", cpus=2)
    one, other = (cli.run("plan", spec, "--host", facts, "--json") for _ in range(2))
    assert one.code == 0
    assert one.out == other.out
