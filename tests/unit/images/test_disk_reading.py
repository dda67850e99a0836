"""What is known of the files behind disks, shares and sockets: real files, real locks, and names that lead nowhere."""

from __future__ import annotations

import fcntl
import os
import socket
import stat
import struct
import subprocess
from pathlib import Path

import pytest

from launcher.images.disk_files import MOST_LINKS, Broken, Disk, DiskFile, Folder, Socket
from launcher.images.disk_reading import read_disk, read_disk_file, read_folder, read_socket
from launcher.images.locks import locks_of
from launcher.values import Missing
from tests.qcow2_images import MIB, qcow2

SETLK = 37  # F_OFD_SETLK


def written(path: Path, content: bytes) -> str:
    path.write_bytes(content)
    return str(path)


def disk(path: str, format_: str = "qcow2") -> Disk:
    found = read_disk(path, "qcow2" if format_ == "qcow2" else "raw")
    assert isinstance(found, Disk)
    return found


def file(path: str) -> DiskFile:
    found = read_disk_file(path, "raw")
    assert isinstance(found, DiskFile)
    return found


# ---- one file ----


def test_a_sparse_file_has_a_size_and_takes_less(tmp_path: Path) -> None:
    with (tmp_path / "a").open("wb") as one:
        one.truncate(64 * MIB)
    found, status = file(str(tmp_path / "a")), os.stat(tmp_path / "a")
    assert (found.kind, found.size, found.allocated, found.virtual_size) == ("file", 64 * MIB, 0, 64 * MIB)
    assert found.identity == f"{status.st_dev}:{status.st_ino}"
    assert (found.rights.uid, found.rights.mode) == (os.geteuid(), status.st_mode & 0o7777)
    assert found.content == "zeros"
    assert found.free
    assert not found.read_only


def test_a_raw_disk_with_a_qcow2_header_leads_nowhere(tmp_path: Path) -> None:
    """Its guest may have written that header."""
    written(tmp_path / "secret", b"x" * 512)
    found = disk(written(tmp_path / "a", qcow2(backing="secret", backing_format="raw")), "raw")
    assert len(found.chain) == 1
    assert found.broken is None
    assert found.top.qcow2 is not None
    assert found.top.virtual_size == 3 << 16


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/dev/kvm"])
def test_a_device_that_is_no_disk_is_not_opened(path: str) -> None:
    if not os.path.exists(path):
        pytest.skip(f"no {path} here")
    assert file(path).kind == "special"


def test_a_node_that_no_driver_has_is_not_called_absent(tmp_path: Path) -> None:
    """The number is one for experiments (Documentation/admin-guide/devices.txt)."""
    try:
        os.mknod(tmp_path / "disk", 0o600 | stat.S_IFBLK, os.makedev(240, 77))
    except PermissionError:
        pytest.skip("only root makes nodes")
    assert read_disk(str(tmp_path / "disk"), "raw") == Missing("unreadable", str(tmp_path / "disk"))


def test_a_pipe_is_not_waited_for_and_a_folder_is_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert file(str(tmp_path / "pipe")).kind == "special"
    assert file(str(tmp_path)).kind == "directory"


def test_what_is_not_there_is_told_apart_from_what_is_no_path(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert read_disk(str(tmp_path / "none"), "raw") == Missing("absent", str(tmp_path / "none"))
    assert read_disk(str(tmp_path / "loop"), "raw") == Missing("unreadable", str(tmp_path / "loop"))
    for path in ("a\0b", "\udcff\ud800"):
        assert read_disk(path, "raw") == Missing("absent", path)


# ---- locks ----


def lock(descriptor: int, byte: int) -> None:
    fcntl.fcntl(descriptor, SETLK, struct.pack("hhqqi4x", fcntl.F_RDLCK, 0, byte, 1, 0))


def test_locks_of_others_are_seen_and_none_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path / "a", bytes(512))
    with open(path, "rb") as other, open(path, "rb") as mine:
        assert locks_of(mine.fileno()) == ((), ())
        lock(other.fileno(), 101)
        lock(other.fileno(), 200)
        assert locks_of(mine.fileno()) == (("write",), ("read",))
        assert locks_of(other.fileno()) == ((), ())
        assert file(path).taken == ("write",)
    assert file(path).taken == ()


def test_who_has_a_locked_image_open_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "a", bytes(512))
    code = (
        "import fcntl, struct, sys; f = open(sys.argv[1], 'rb')\n"
        f"fcntl.fcntl(f, {SETLK}, struct.pack('hhqqi4x', fcntl.F_RDLCK, 0, 101, 1, 0)); print(flush=True); input()"
    )
    with subprocess.Popen(["python3", "-c", code, path], stdin=-1, stdout=-1) as other:
        assert other.stdout
        other.stdout.readline()
        found = file(path)
        other.kill()
    assert found.taken == ("write",)
    assert other.pid in {one.pid for one in found.openers}


# ---- chains ----


def test_a_chain_is_followed_from_each_image_to_the_next(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    written(tmp_path / "base" / "raw.img", bytes(MIB))
    written(tmp_path / "base" / "mid.qcow2", qcow2(backing="raw.img", backing_format="raw"))
    top = written(tmp_path / "top.qcow2", qcow2(backing="base/mid.qcow2", backing_format="qcow2"))
    found = disk(top)
    assert [one.path for one in found.chain] == [
        top,
        str(tmp_path / "base/mid.qcow2"),
        str(tmp_path / "base/raw.img"),
    ]
    assert [one.format for one in found.chain] == ["qcow2", "qcow2", "raw"]
    assert found.broken is None


def test_a_raw_base_ends_a_chain_whatever_it_holds(tmp_path: Path) -> None:
    written(tmp_path / "b", qcow2(backing="/etc/passwd", backing_format="raw"))
    found = disk(written(tmp_path / "a", qcow2(backing="b", backing_format="raw")))
    assert [one.format for one in found.chain] == ["qcow2", "raw"]
    assert found.broken is None


@pytest.mark.parametrize(
    ("backing", "said", "kind"),
    [
        ("none.img", "raw", "absent"),
        ("a", "qcow2", "loop"),
        ("nbd://10.0.0.1/disk", "raw", "remote"),
        ('json:{"driver":"file","filename":"/etc/passwd"}', "raw", "remote"),
        ("old.vmdk", "vmdk", "foreign"),
        ("b", "", "unsaid"),
        ("a\0b", "raw", "absent"),
    ],
)
def test_a_chain_that_ends_before_its_end_says_where(tmp_path: Path, backing: str, said: str, kind: str) -> None:
    written(tmp_path / "b", qcow2())
    path = written(tmp_path / "a", qcow2(backing=backing, backing_format=said))
    found = disk(path)
    assert found.broken is not None
    assert (found.broken.kind, found.broken.by, found.broken.name) == (kind, path, backing)
    assert len(found.chain) == 1


def test_a_base_without_a_format_is_raw_where_it_does_not_look_like_more(tmp_path: Path) -> None:
    written(tmp_path / "b", bytes(MIB))
    found = disk(written(tmp_path / "a", qcow2(backing="file:b", version=2)))
    assert (found.chain[1].format, found.broken) == ("raw", None)


def test_a_chain_without_end_is_cut(tmp_path: Path) -> None:
    for number in range(1000):
        written(tmp_path / str(number), qcow2(backing=str(number + 1), backing_format="qcow2")[: 3 << 16])
    found = disk(str(tmp_path / "0"))
    assert len(found.chain) == MOST_LINKS
    assert isinstance(found.broken, Broken)
    assert found.broken.kind == "long"


# ---- shares and sockets ----


def test_a_folder_that_is_shared_says_which_above_it_are_not_everybodys(tmp_path: Path) -> None:
    """By what its name leads to."""
    shared = tmp_path / "shut" / "open" / "src"
    shared.mkdir(parents=True)
    (tmp_path / "link").symlink_to(shared)
    for one, mode in ((tmp_path / "shut", 0o710), (tmp_path / "shut" / "open", 0o711), (shared, 0o700)):
        one.chmod(mode)
    for name in (shared, tmp_path / "link"):
        found = read_folder(str(name))
        assert isinstance(found, Folder)
        inside = [(one.path, one.mode) for one in found.above if Path(one.path).is_relative_to(tmp_path / "shut")]
        assert inside == [(str(tmp_path / "shut"), 0o710)]


def test_a_folder_and_a_socket_are_what_they_are(tmp_path: Path) -> None:
    found = read_folder(str(tmp_path))
    assert isinstance(found, Folder)
    assert (found.kind, found.read_only) == ("directory", False)
    assert read_folder(written(tmp_path / "file", b"")) == read_folder(str(tmp_path / "file"))
    other = read_folder(str(tmp_path / "file"))
    assert isinstance(other, Folder)
    assert other.kind == "other"
    assert read_folder(str(tmp_path / "none")) == Missing("absent", str(tmp_path / "none"))
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "s"))
        there = read_socket(str(tmp_path / "s"))
    assert isinstance(there, Socket)
    assert there.kind == "socket"
    wrong = read_socket(str(tmp_path / "file"))
    assert isinstance(wrong, Socket)
    assert wrong.kind == "other"
