"""The files that a spec names beside its kernel: read where the plan is made, and again for a saved plan."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from launcher.api.files import beside
from launcher.api.plans import files_of, load, named_files
from launcher.api.served_files import Named, with_served
from launcher.api.staleness import _with_served
from launcher.images.disk_files import Disk, Folder, Socket
from launcher.plan.virtio import AddVirtio, ConnectEngine, Image, ServedDisk, StartDiskEngine, StartShareEngine
from launcher.record import replace
from launcher.values import Missing
from tests.planning import FILES, SMALL, host, plan
from tests.qcow2_images import qcow2

SPEC = """\
disks:
  root: ./root.qcow2
  data: {path: ./data, format: raw}
  spdk: {socket: ./engine.sock}
shares: {work: .}
nics: {lan: {socket: /none/nic.sock}}
"""


def written(folder: Path) -> Path:
    (folder / "base.img").write_bytes(bytes(4096))
    (folder / "root.qcow2").write_bytes(qcow2(backing="base.img", backing_format="raw"))
    (folder / "data").write_bytes(qcow2())
    return folder


def test_a_path_is_written_without_its_dots_where_they_lead_to_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "specs").mkdir()
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to("far/away")
    assert beside(tmp_path / "specs", "../new.fd") == f"{tmp_path}/new.fd"
    assert beside(tmp_path, "link/../a.img") == f"{tmp_path}/link/../a.img"  # that is far/a.img
    assert beside(tmp_path, "specs/..") == f"{tmp_path}/specs/.."
    assert beside(tmp_path, "none/../a.img") == f"{tmp_path}/none/../a.img"
    assert beside(tmp_path, "/srv/a.img") == "/srv/a.img"


def test_paths_are_relative_to_the_spec_and_formats_follow_names(tmp_path: Path) -> None:
    spec = load((SMALL + SPEC).encode(), str(written(tmp_path) / "vm.yaml")).spec
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "engine.sock"))
        found = named_files(spec, str(tmp_path / "vm.yaml"))
    root, data, work = found.disks["root"], found.disks["data"], found.shares["work"]
    assert isinstance(root, Disk)
    assert [(one.path, one.format) for one in root.chain] == [
        (str(tmp_path / "root.qcow2"), "qcow2"),
        (str(tmp_path / "base.img"), "raw"),
    ]
    assert isinstance(data, Disk)
    assert (data.top.format, len(data.chain)) == ("raw", 1)
    assert isinstance(work, Folder)
    assert work.identity == f"{os.stat(tmp_path).st_dev}:{os.stat(tmp_path).st_ino}"
    assert isinstance(found.sockets["disks.spdk"], Socket)
    assert found.sockets["nics.lan"] == Missing("absent", "/none/nic.sock")
    assert set(found.disks) == {"root", "data"}


def test_a_base_that_is_named_by_dots_is_no_link_and_one_behind_a_link_is_known_by_what_that_leads_to(
    tmp_path: Path,
) -> None:
    (tmp_path / "vms").mkdir()
    written(tmp_path)
    (tmp_path / "vms" / "top.qcow2").write_bytes(qcow2(backing="../root.qcow2", backing_format="qcow2"))
    (tmp_path / "vms" / "link.qcow2").symlink_to("top.qcow2")
    named = {name: (str(tmp_path / "vms" / f"{name}.qcow2"), "qcow2") for name in ("top", "link")}
    found = with_served(FILES, Named(named, {}, {})).disks  # type: ignore[arg-type]
    chains = {name: disk.chain for name, disk in found.items() if isinstance(disk, Disk)}
    assert [one.real for one in chains["top"]] == [None, None, None]
    assert chains["link"][0].real == str(tmp_path / "vms" / "top.qcow2")


def test_a_spec_is_known_by_its_own_name_and_by_what_that_leads_to(tmp_path: Path) -> None:
    (tmp_path / "vm.yaml").symlink_to("../other.yaml")
    spec = load(f"{SMALL}shares: {{work: ./src}}\n".encode(), "vm.yaml").spec
    assert named_files(spec, str(tmp_path / "vm.yaml")).spec == (
        str(tmp_path / "vm.yaml"),
        str(tmp_path.parent / "other.yaml"),
    )
    assert named_files(spec, "-").spec == ()


def test_a_vm_without_them_reads_nothing_more(tmp_path: Path) -> None:
    found = named_files(load(SMALL.encode(), str(tmp_path / "vm.yaml")).spec, str(tmp_path / "vm.yaml"))
    assert (found.disks, found.shares, found.sockets) == ({}, {}, {})


def test_a_saved_plan_names_them_by_its_steps(tmp_path: Path) -> None:
    written(tmp_path)
    image = Image(str(tmp_path / "root.qcow2"), "qcow2", "1:2")
    steps = (
        StartDiskEngine("/usr/bin/qemu-storage-daemon", 0, 0, (ServedDisk("root", (image,), False, False, 1),), 0),
        StartShareEngine("/usr/libexec/virtiofsd", "rust", "work", str(tmp_path), "1:2", False, 0, 0, 0),
        ConnectEngine("lan", "/none/nic.sock", "1:2"),
        AddVirtio(()),
    )
    made = plan(SMALL, host("gpu07"))
    found = files_of(replace(made, steps=(*made.steps, *steps)))
    root = found.disks["root"]
    assert isinstance(root, Disk)
    assert len(root.chain) == 2
    assert isinstance(found.shares["work"], Folder)
    assert found.sockets == {"nics.lan": Missing("absent", "/none/nic.sock")}


def test_what_a_saved_plan_has_no_step_for_is_as_good_as_not_there(tmp_path: Path) -> None:
    """Else a plan that was edited could leave out a disk, and what is said of it."""
    spec = load((SMALL + SPEC).encode(), "vm.yaml").spec
    found = _with_served(named_files(load(SMALL.encode(), "vm.yaml").spec, "vm.yaml"), spec)
    assert found.disks == {"root": Missing("absent", "./root.qcow2"), "data": Missing("absent", "./data")}
    assert found.shares == {"work": Missing("absent", ".")}
    assert set(found.sockets) == {"disks.spdk", "nics.lan"}


def test_what_the_kernel_makes_up_is_no_disk() -> None:
    found = with_served(FILES, Named({"mem": ("/proc/self/maps", "raw")}, {"sys": "/sys/kernel"}, {}, {}))
    disk, share = found.disks["mem"], found.shares["sys"]
    assert isinstance(disk, Disk)
    assert (disk.top.kind, disk.top.file_system) == ("special", "proc")
    assert isinstance(share, Folder)
    assert (share.kind, share.file_system) == ("other", "sysfs")
