"""The same facts of this machine: a tap that is open, a file that is a loop device, an image that a real engine writes.

Each needs something that not every machine has, and is skipped with the reason where it is not there.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from launcher.api.served_files import Named, with_served
from launcher.host.links import read_links
from launcher.host.tree import Live
from launcher.images.disk_files import Disk, DiskFile
from tests.planning import FILES
from tests.qcow2_images import qcow2

TUNSETIFF, TAP_WITHOUT_INFO = 0x400454CA, 0x1002
NAME = "vmltest0"
DAEMON = shutil.which("qemu-storage-daemon")


@contextmanager
def tap() -> Iterator[None]:
    """It goes with its descriptor."""
    try:
        node = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        pytest.skip(f"/dev/net/tun: {error.strerror}")
    try:
        fcntl.ioctl(node, TUNSETIFF, struct.pack("16sH22x", NAME.encode(), TAP_WITHOUT_INFO))
        yield
    except PermissionError:
        pytest.skip("only who administers the network may make a tap")
    finally:
        os.close(node)


def test_a_tap_that_is_open_and_by_whom() -> None:
    with tap():
        subprocess.run(["ip", "link", "set", NAME, "up"], check=True)
        found = {one.name: one for one in read_links(Live())}
        one = found[NAME]
        assert (one.kind, one.persistent, one.owner, one.attached) == ("tap", False, None, True)
        assert os.getpid() in {holder.pid for holder in one.holders}
    assert NAME not in {one.name for one in read_links(Live())}


OF_ANOTHER = "from launcher.host.links import *; from launcher.host.tree import Live; print(are_of_another(Live()))"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes a network namespace")
def test_behind_unshare_the_interfaces_in_sys_are_those_of_another_name_space() -> None:
    """Once one has more than lo, and once it is looked at where it was mounted."""
    if os.listdir("/sys/class/net") == ["lo"]:
        pytest.skip("this host has no interface but lo")
    command = [sys.executable, "-c", OF_ANOTHER]
    for words, told in ((["unshare", "-n", *command], "True\n"), (command, "False\n")):
        assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == told


def top(path: Path) -> DiskFile:
    found = with_served(FILES, Named({"root": (str(path), "raw")}, {}, {}, {})).disks["root"]
    assert isinstance(found, Disk)
    return found.top


def test_a_file_that_is_a_loop_device(tmp_path: Path) -> None:
    path = tmp_path / "root.img"
    path.write_bytes(bytes(1 << 20))
    assert top(path).uses == ()
    try:
        made = subprocess.run(["losetup", "-f", "--show", path], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"no loop device can be made here: {error}")
    try:
        device = made.stdout.strip()
        assert [use.what for use in top(path).uses] == [f"{device} is made of it"]
        os.link(path, tmp_path / "other-name.img")
        assert len(top(tmp_path / "other-name.img").uses) == 1
    finally:
        subprocess.run(["losetup", "-d", device], check=True)


@contextmanager
def served_by_daemon(path: Path, format_: str) -> Iterator[int]:
    """Its pid. Who starts a daemon comes back when it serves."""
    folder = path.parent
    export = f"type=vhost-user-blk,id=e,node-name=d,addr.type=unix,addr.path={folder}/s,writable=on"
    file, disk = f"driver=file,node-name=f,filename={path}", f"driver={format_},node-name=d,file=f"
    words = ["--blockdev", file, "--blockdev", disk, "--export", export, "--daemonize", "--pidfile", f"{folder}/pid"]
    subprocess.run([str(DAEMON), *words], check=True, timeout=60)
    pid = int((folder / "pid").read_text())
    gone = os.pidfd_open(pid)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        select.select([gone], [], [], 60)
        os.close(gone)


@pytest.mark.skipif(DAEMON is None, reason="qemu-storage-daemon is not installed")
@pytest.mark.parametrize("format_", ["raw", "qcow2"])
def test_an_image_that_an_engine_writes(tmp_path: Path, format_: str) -> None:
    """Of a raw image it leaves to others to write it, too: only that it writes shows."""
    path = tmp_path / "root.img"
    path.write_bytes(qcow2() if format_ == "qcow2" else bytes(1 << 20))
    with served_by_daemon(path, format_) as engine:
        found = top(path)
    assert "write" in found.taken
    assert ("write" in found.refused) is (format_ == "qcow2")
    assert engine in {one.pid for one in found.openers}
    assert (top(path).taken, top(path).refused) == ((), ())
