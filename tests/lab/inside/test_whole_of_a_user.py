"""An ordinary user with a qcow2 image and a network that needs no rights: what works for him, and what stays shut."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import NOBODY, PATIENCE
from tests.disk_images import qcow2, storage_daemon
from tests.lab.inside.passing import start
from tests.lab.inside.test_user import User
from tests.lab.inside.test_whole import drivers, said, sha, talk, tour
from tests.lab.inside.whole import DISKS, USER, engines, serving, sh

__all__ = ["drivers", "talk"]  # fixtures

pytestmark = [
    pytest.mark.host("zoo"),
    pytest.mark.skipif(storage_daemon() is None, reason="there is no qemu-storage-daemon"),
]
NETNS, OUTSIDE, INSIDE = "vmoutside", "10.6.0.2", "10.6.0.1"
SIZE = 8 << 20


def has_vhost_user() -> bool:
    """Debian 12's passt has not."""
    passt = shutil.which("passt")
    return passt is not None and "--vhost-user" in sh(passt, "--help")


@pytest.fixture
def outside(talk: Path) -> Iterator[None]:
    """Where the host's default route leads: a host of its own, that answers."""
    with ExitStack() as undo:
        sh("ip", "netns", "add", NETNS)
        undo.callback(sh, "ip", "netns", "del", NETNS)
        sh("ip", "link", "add", "vmout", "type", "veth", "peer", "name", "vmin", "netns", NETNS)
        sh("ip", "addr", "add", f"{INSIDE}/24", "dev", "vmout")
        sh("ip", "link", "set", "vmout", "up")
        within = ("ip", "netns", "exec", NETNS)
        sh(*within, "ip", "addr", "add", f"{OUTSIDE}/24", "dev", "vmin")
        sh(*within, "ip", "link", "set", "vmin", "up")
        sh("ip", "route", "add", "default", "via", OUTSIDE)
        undo.enter_context(serving(talk, *within))
        yield


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    """/dev/kvm is his."""
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, NOBODY, NOBODY)
    for above in (tmp_path, *tmp_path.parents[:2]):
        above.chmod(0o711)
    before = os.stat("/dev/kvm")
    os.chown("/dev/kvm", NOBODY, NOBODY)
    made = User(tmp_path)
    made.memlock = 2 << 30
    yield made
    made.put_down()
    os.chown("/dev/kvm", before.st_uid, before.st_gid)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """The user's own, on a base that is not his."""
    base = tmp_path / "base.img"
    base.write_bytes(os.urandom(SIZE))
    base.chmod(0o644)
    made = qcow2(tmp_path / "root.qcow2", SIZE, base)
    os.chown(made, NOBODY, NOBODY)
    return made


def listening() -> set[str]:
    """Local addresses at which somebody of this host waits for TCP."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return {line.split()[1] for line in lines if line.split()[3] == "0A"}


@pytest.mark.skipif(not has_vhost_user(), reason="there is no passt that has --vhost-user (Debian 13 has)")
@pytest.mark.usefixtures("outside")
def test_he_has_a_disk_and_reaches_what_he_reaches_himself(user: User, drivers: Path, image: Path) -> None:
    """Not the host's loopback: passt would take it for the gateway, which is OUTSIDE, and nobody answers there."""
    before = listening()
    up = start(user, drivers, {}, disks={"root": str(image)}, nics={"inet": "user"})
    assert sorted(set(engines().values())) == [USER, DISKS]
    for pid in engines():
        assert f"Uid:\t{NOBODY}" in Path(f"/proc/{pid}/status").read_text()
    assert listening() == before
    out = tour(up, "leased")
    assert f"leased {INSIDE}/24 via {OUTSIDE}" in out, out
    assert re.search("^trips 20 in", out, re.MULTILINE), out
    assert [int(count) > 0 for count in re.findall(r"^(?:sent|taken) (\d+) in", out, re.MULTILINE)] == [True] * 2, out
    (read,) = said(tour(up, "start_of_first"), "/tmp/read")
    assert read == sha((image.parent / "base.img").read_bytes()[: 256 << 10])
    out, err = up.communicate("poweroff\n", timeout=PATIENCE)
    assert up.returncode == 0, out + err
    assert engines() == {}
    assert user.run("down", user.name).code == 0


@pytest.mark.skipif(has_vhost_user(), reason="this passt has --vhost-user")
def test_without_such_a_passt_he_is_told_which_version_has_it(user: User, drivers: Path, image: Path) -> None:
    spec = user.spec(drivers, disks={"root": str(image)}, nics={"inet": "user"})
    planned = user.run("plan", spec)
    told = planned.out + planned.err
    assert planned.code != 0, told
    assert re.search(r"error\[E6\d\d\]: .*passt", told), told
    assert "Debian 13" in told


def test_an_image_of_somebody_else_is_refused_before_anything_is_done(user: User, drivers: Path, image: Path) -> None:
    os.chown(image, 0, 0)
    image.chmod(0o600)
    done = user.run("plan", user.spec(drivers, disks={"root": str(image)}))
    assert done.code != 0, done.out + done.err
    assert re.search(r"error\[E6\d\d\]: root: ", done.out + done.err), done.out + done.err
    assert engines() == {}
