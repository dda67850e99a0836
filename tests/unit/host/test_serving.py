"""Engines, bridges, taps and what stands on an image: one story for each trap."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.host.engines import read_engines
from launcher.host.facts import ENGINES, DeviceNode, Holder, HostFacts, Link, OtherVm, Process, Program, Serving
from launcher.host.links import are_of_another, read_links
from launcher.host.redact import redacted
from launcher.host.serving import read_serving
from launcher.host.standing import file_system_of, uses_of_block, uses_of_file
from launcher.host.tree import Recorded, Status
from launcher.kernel.saying import version_line
from launcher.record import replace
from launcher.values import MIB, Missing
from tests.planning import host

ME = Process(1000, 1000, (), 8 * MIB, 1024, (0,), "/run/user/1000/vmlaunch", groups=(5, 1000))
NET = "/sys/class/net"
QSD, C, RUST, PASST = (
    "/usr/bin/qemu-storage-daemon",
    "/usr/lib/qemu/virtiofsd",
    "/usr/libexec/virtiofsd",
    "/usr/bin/passt",
)
FILE = Status("other", 0o755, 0, 0)


def engines(said: dict[str, str], blobs: dict[str, bytes] | None = None, **status: Status) -> dict[str, Program]:
    nodes = dict.fromkeys(said, FILE) | {path.replace("_", "/"): one for path, one in status.items()}
    return read_engines(Recorded({}, nodes=nodes, blobs=blobs), 0, ENGINES, lambda path: said[path])


# ---- engines ----


def test_the_two_virtiofsd_are_told_apart_by_what_they_say() -> None:
    old, new = "virtiofsd version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", "virtiofsd 1.13.0"
    assert engines({C: old})["virtiofsd"] == Program(C, "7.2.22", "c")
    assert engines({RUST: new})["virtiofsd"] == Program(RUST, "1.13.0", "rust")
    assert engines({RUST: old})["virtiofsd"].kind == "c"  # Fedora had QEMU's there
    assert engines({RUST: "virtiofsd backend 1.5.1"})["virtiofsd"] == Program(RUST, "1.5.1", "rust")
    assert engines({C: old, RUST: new})["virtiofsd"].path == RUST
    assert engines({C: "error while loading shared libraries"})["virtiofsd"] == Program(C)


def test_passt_has_vhost_user_where_its_options_have() -> None:
    line = {PASST: "passt 0.0~git20230309.7c7625d-1"}
    assert engines(line, {PASST: b"\x7fELF --socket"})["passt"].vhost_user is False
    found = engines({PASST: "passt 2025_05_03.587980c"}, {PASST: b"\x7fELF\0vhost-user\0"})["passt"]
    assert found == Program(PASST, "2025_05_03.587980c", vhost_user=True)


def test_passt_that_says_nothing_into_a_pipe_has_its_version_in_it() -> None:
    content = b"\0--vhost-user\0passt \0" + b"0.0~git20250503.587980c-2+deb13u1\nCopyright Red Hat\nGNU General\0"
    assert engines({PASST: ""}, {PASST: content})["passt"].version == "0.0~git20250503.587980c-2+deb13u1"


def test_only_engines_that_are_wanted_are_asked() -> None:
    tree = Recorded({}, nodes={QSD: FILE, PASST: FILE})
    line = "qemu-storage-daemon version 10.0.2 (Debian 1:10.0.2+ds-2)"
    found = read_engines(tree, 0, {"qemu-storage-daemon"}, lambda path: line if path == QSD else pytest.fail(path))
    assert found == {"qemu-storage-daemon": Program(QSD, "10.0.2")}
    built = Recorded({}, nodes={QSD: FILE}, blobs={QSD: b"\x7fELF type=vhost-user-blk,id="})
    assert read_engines(built, 0, ENGINES, lambda _: line)["qemu-storage-daemon"].vhost_user is True
    without = Recorded({}, nodes={QSD: FILE}, blobs={QSD: b"\x7fELF type=nbd"})
    assert read_engines(without, 0, ENGINES, lambda _: line)["qemu-storage-daemon"].vhost_user is False


@pytest.mark.parametrize(
    "status", [Status("other", 0o775, 0, 4), Status("other", 0o777, 0, 0), Status("other", 0o755, 7, 0)]
)
def test_a_program_that_others_can_change_is_not_asked(status: Status) -> None:
    tree = Recorded({}, nodes={QSD: status})
    assert read_engines(tree, 1000, ENGINES, pytest.fail) == {"qemu-storage-daemon": Program(QSD, loose=True)}


def script(folder: Path, text: str) -> str:
    path = folder / "engine"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_program_says_its_version_and_gets_nothing_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "word")
    reading, writing = os.pipe()
    os.set_inheritable(reading, True)
    held = os.readlink(f"/proc/self/fd/{reading}")
    told = version_line(script(tmp_path, 'cat; echo "$1 $SECRET" $(readlink /proc/self/fd/*); echo more'))
    os.close(reading)
    os.close(writing)
    assert told.startswith("--version  /dev/null pipe:")
    assert held not in told


@pytest.mark.parametrize("text", ["exit 1", "yes | tr -d '\\n'", "exec >&-; exec sleep 1000", "kill -9 $$"])
def test_a_program_that_says_nothing_has_no_version(text: str, tmp_path: Path) -> None:
    said = version_line(script(tmp_path, text))
    assert len(said) <= 4096
    assert said.strip("y") == ""
    assert version_line(str(tmp_path / "none")) == ""


def test_a_program_that_goes_on_ends_with_its_first_line(tmp_path: Path) -> None:
    assert version_line(script(tmp_path, "echo engine 1.0; exec sleep 1000")) == "engine 1.0"


# ---- networks ----


def link(name: str, **files: str) -> dict[str, str]:
    usual = {"flags": "0x1003", "address": "52:54:00:00:00:01", "mtu": "1500"}
    return {f"{NET}/{name}/{key}": text for key, text in (usual | files).items()}


def test_a_bridge_has_ports_and_a_tap_says_what_it_is() -> None:
    texts = {
        **link("br0"),
        f"{NET}/br0/bridge/bridge_id": "8000",
        f"{NET}/br0/brif/eth0/port_id": "1",
        **link("vmtap0", tun_flags="0x4802", owner="1000", group="-1", carrier="0", mtu="9000"),
        **link("tun0", tun_flags="0x1001", owner="-1", group="7"),
        **link("tap9", tun_flags="0x102", flags="0x1002", owner="-1", group="-1"),
        **link("eth0"),
        f"{NET}/bonding_masters": "bond0",
    }
    for name, pvid in (("br1", "0"), ("br2", "1")):
        vlans = {"bridge/vlan_filtering": "1", "bridge/default_pvid": pvid}
        texts |= link(name) | {f"{NET}/{name}/{key}": text for key, text in vlans.items()}
    links = {f"{NET}/eth0/master": "../br0"}
    found = {one.name: one for one in read_links(Recorded(texts, links))}
    assert [found[name].no_vlan for name in ("br0", "br1", "br2")] == [False, True, False]
    assert set(found) == {"br0", "br1", "br2", "vmtap0", "tun0", "tap9", "eth0"}
    assert (found["br0"].kind, found["br0"].ports, found["br0"].up) == ("bridge", ("eth0",), True)
    assert (found["eth0"].kind, found["eth0"].master) == ("other", "br0")
    tap = found["vmtap0"]
    assert (tap.kind, tap.owner, tap.group, tap.mtu, tap.attached) == ("tap", 1000, None, 9000, False)
    assert (tap.vnet_header, tap.persistent, tap.multi_queue) == (True, True, False)
    assert (found["tun0"].kind, found["tun0"].group) == ("tun", 7)
    assert (found["tap9"].multi_queue, found["tap9"].up, found["tap9"].attached) == (True, False, None)


DEV = "Inter-|   Receive   |  Transmit\n face |bytes    packets\n    lo:   0    0\n {}: 12    3\n"


@pytest.mark.parametrize(("name", "another"), [("eth0", False), ("eth1", True), ("bonding_masters", True)])
def test_interfaces_that_this_process_does_not_see_are_of_another_name_space(name: str, another: bool) -> None:
    texts = link("lo") | link("eth0") | {f"{NET}/bonding_masters": "", "/proc/net/dev": DEV.format(name)}
    assert are_of_another(Recorded(texts)) is another
    assert are_of_another(Recorded(link("lo"))) is False


def test_a_tap_with_a_carrier_is_somebodys() -> None:
    texts = {"/proc/7/fdinfo/4": "pos:\t0\niff:\tvmtap0\n", "/proc/7/comm": "qemu", "/proc/8/fdinfo/3": "pos:\t0\n"}
    links = {"/proc/7/fd/4": "/dev/net/tun", "/proc/7/fd/5": "/dev/null", "/proc/8/fd/3": "/dev/net/tun"}
    (found,) = read_links(Recorded(link("vmtap0", tun_flags="0x2", carrier="1") | texts, links))
    assert (found.attached, found.holders) == (True, (Holder(7, "qemu"),))
    (found,) = read_links(Recorded(link("vmtap0", tun_flags="0x2", carrier="1")))
    assert (found.attached, found.holders) == (True, ())


# ---- the rest of what serving takes ----


def test_nodes_modules_and_limits() -> None:
    modules = "/lib/modules/6.12.0"
    limits = "Limit      Soft Limit  Hard Limit  Units\nMax file size  1048576  unlimited  bytes\n"
    tree = Recorded(
        {
            "/proc/sys/kernel/osrelease": "6.12.0",
            f"{modules}/modules.dep": "kernel/drivers/vhost/vhost_net.ko.xz: kernel/drivers/vhost/vhost.ko.xz\n",
            f"{modules}/modules.builtin": "kernel/net/bridge/bridge.ko\n",
            "/sys/module/tun/refcnt": "0",
            "/proc/sys/user/max_user_namespaces": "15000",
            "/proc/sys/kernel/unprivileged_userns_clone": "0",
            "/sys/kernel/mm/transparent_hugepage/shmem_enabled": "always within_size advise [never] deny force",
            "/proc/self/limits": limits,
        },
        nodes={"/dev/net/tun": Status("char", 0o666, 0, 0), "/dev/vhost-net": Status("char", 0o660, 0, 105)},
    )
    found = read_serving(tree, ME, (), pytest.fail)
    assert found == Serving(
        nodes=(DeviceNode("/dev/net/tun", 0o666, 0, 0, True), DeviceNode("/dev/vhost-net", 0o660, 0, 105, False)),
        modules=("bridge", "tun", "vhost_net"),
        user_namespaces=15000,
        unprivileged="kernel.unprivileged_userns_clone",
        shmem="never",
        file_size=1048576,
    )


def test_modules_of_a_container_without_their_files_are_not_known() -> None:
    found = read_serving(Recorded({"/proc/sys/kernel/osrelease": "6.12.0"}), ME, (), pytest.fail)
    assert found.modules == Missing("absent", "/lib/modules/6.12.0/modules.dep")
    assert (found.user_namespaces, found.unprivileged, found.file_size) == (None, None, None)


def test_what_is_shared_has_no_macs_and_no_names_of_vms() -> None:
    mac = "52:54:00:12:34:56"
    serving = Serving(
        links=(Link("br0", "bridge", mac, ports=(f"enx{mac.replace(':', '')}",)),),
        vms=(OtherVm("secret", (mac,), 3, ("1:2",)),),
    )
    facts: HostFacts = replace(host("gpu07"), serving=serving)
    shared = redacted(facts).serving
    assert shared is not None
    assert (shared.vms, shared.links[0].mac) == ((), "redacted")
    assert mac.replace(":", "") not in str(shared)


# ---- what stands on a device, and on a file ----

BLOCK = "/sys/class/block"


def block(name: str, number: str) -> dict[str, str]:
    return {f"{BLOCK}/{name}/dev": number}


MOUNTS = "30 1 8:1 / /data rw - ext4 /dev/sda1 rw\n31 1 7:1 / /mnt rw - ext4 /dev/loop1 rw\n"
LINKS = {"/sys/dev/block/8:0": "../../devices/x/block/sda", "/sys/dev/block/8:1": "../../devices/x/block/sda/sda1"}


def disks() -> Recorded:
    texts = {
        **block("sda", "8:0"),
        **block("sda1", "8:1"),
        f"{BLOCK}/sda/sda1/partition": "1",
        **block("sdb", "8:16"),
        f"{BLOCK}/sdb/holders/dm-0/dev": "253:0",
        **block("dm-0", "253:0"),
        f"{BLOCK}/dm-0/dm/name": "vg-data",
        **block("loop1", "7:1"),
        f"{BLOCK}/loop1/loop/backing_file": "/vms/root.img",
        "/proc/self/mountinfo": MOUNTS,
        "/proc/swaps": "Filename Type\n/dev/dm-0 partition 1 0 -2\n",
    }
    return Recorded(texts, LINKS | {"/sys/dev/block/8:16": "../../devices/x/block/sdb"})


def test_a_disk_is_in_use_by_its_partitions_and_by_what_is_built_on_it() -> None:
    assert [use.what for use in uses_of_block(disks(), "8:0")] == ["sda1 on /data"]
    assert [use.what for use in uses_of_block(disks(), "8:1")] == ["sda1 on /data"]
    assert [use.kind for use in uses_of_block(disks(), "8:16")] == ["holder", "swap"]
    assert uses_of_block(disks(), "9:9") == ()


def test_a_file_is_in_use_by_a_loop_device_whatever_it_is_called_there() -> None:
    identity = {"/vms/root.img": "1:2"}
    found = uses_of_file(disks(), "1:2", lambda path: identity.get(path, ""))
    assert [use.what for use in found] == ["/dev/loop1 is made of it", "loop1 on /mnt"]
    assert uses_of_file(disks(), "1:3", lambda path: identity.get(path, "")) == ()


def test_the_file_system_of_a_path_is_the_one_mounted_last_and_nearest() -> None:
    mounts = "\n".join(
        f"{number} 1 0:{number} / {point} rw - {kind} x rw"
        for number, (point, kind) in enumerate(
            [("/", "ext4"), ("/run", "tmpfs"), ("/run/nfs\\040share", "nfs4"), ("/srv", "ext4"), ("/srv", "xfs")]
        )
    )
    tree = Recorded({"/proc/self/mountinfo": mounts})
    paths = {"/a": "ext4", "/runs": "ext4", "/run/x": "tmpfs", "/run/nfs share/x": "nfs4", "/srv/x": "xfs"}
    assert {path: file_system_of(tree, path) for path in paths} == paths
    assert file_system_of(Recorded({}), "/a") is None
