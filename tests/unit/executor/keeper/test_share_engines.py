"""virtiofsd as it is installed here, and passt: who the guest's root is, what is read-only, what they may."""

from __future__ import annotations

import os
import shutil
import struct
from contextlib import closing
from pathlib import Path
from typing import Literal

import pytest

from launcher.errors import StepFailed
from launcher.executor.keeper import engines
from launcher.kernel.real import RealKernel
from launcher.plan.virtio import StartShareEngine, StartUserNetwork
from tests.name_spaces import needs_name_spaces
from tests.unit.executor.keeper.test_engines import MAPS, OTHER, as_root, kernel, owners, status_of
from tests.vhost_user_client import DATA, HEAD, Client

pytestmark = needs_name_spaces

__all__ = ["kernel"]  # the fixture

KINDS: dict[Literal["c", "rust"], str] = {"c": "/usr/lib/qemu/virtiofsd", "rust": "/usr/libexec/virtiofsd"}
# Debian 13 has a link to the other where Debian 12 has the one in C.
HERE = [kind for kind, program in KINDS.items() if os.access(program, os.X_OK) and not os.path.islink(program)]
PASST = shutil.which("passt") or ""
INIT, LOOKUP, SETATTR, MKDIR, OPEN, READ, CREATE = 26, 1, 4, 9, 14, 15, 35  # linux/fuse.h
SIZE = 4096
EROFS, EINVAL = 30, 22
SHARES = 0x880000DB  # CAP_CHOWN, DAC_OVERRIDE, FOWNER, FSETID, SETGID, SETUID, MKNOD, SETFCAP

of_shares = pytest.mark.parametrize("kind", HERE or [pytest.param("", marks=pytest.mark.skip(reason="no virtiofsd"))])
of_owners = pytest.mark.parametrize("owner", owners())


class Guest(Client):
    """A driver of virtiofs that asks one thing after the other."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd, queue=1)
        assert self.ask(INIT, struct.pack("<IIII", 7, 31, 65536, 0) + bytes(48))[0] == 0

    def ask(self, op: int, body: bytes, node: int = 1, uid: int = 0) -> tuple[int, bytes]:
        """The error, positive, and the answer."""
        request = struct.pack("<IIQQIIII", 40 + len(body), op, 7, node, uid, uid, 1, 0) + body
        self.memory[HEAD : HEAD + len(request)] = request
        self.request([(HEAD, len(request), False), (DATA, SIZE, True)])
        length, error, _ = struct.unpack_from("<IiQ", self.memory, DATA)
        return -error, self.memory[DATA + 16 : DATA + length]

    def text(self, name: str) -> bytes:
        error, found = self.ask(LOOKUP, name.encode() + b"\0")
        assert error == 0
        node = struct.unpack_from("<Q", found)[0]
        error, opened = self.ask(OPEN, struct.pack("<II", 0, 0), node)
        assert error == 0
        handle = struct.unpack_from("<Q", opened)[0]
        return self.ask(READ, struct.pack("<QQIIQII", handle, 0, 100, 0, 0, 0, 0), node)[1]

    def make(self, name: str, uid: int = 0) -> int:
        return self.ask(CREATE, struct.pack("<IIII", os.O_RDWR, 0o100644, 0, 0) + name.encode() + b"\0", uid=uid)[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "share"
    made.mkdir()
    (made / "hello").write_text("hi there")
    for one in (tmp_path, *tmp_path.parents):  # virtiofsd in Rust looks its path up, as the owner that it is
        if one.stat().st_uid == os.getuid() and str(one).startswith("/tmp/"):
            one.chmod(0o711)
    return made


def share(kind: Literal["c", "rust"], folder: Path, owner: int, *, readonly: bool = False) -> StartShareEngine:
    if os.geteuid() == 0:
        for one in (folder, folder / "hello"):
            os.chown(one, owner, owner)
    status = folder.stat()
    identity = f"{status.st_dev}:{status.st_ino}"
    gid = status.st_gid
    return StartShareEngine(KINDS[kind], kind, "work", str(folder), identity, readonly, owner, gid, MAPS)


def served(kernel: RealKernel, step: StartShareEngine | StartUserNetwork) -> engines.Started:
    memory = engines.prepare(step, kernel)
    engines.start(step, kernel)
    return engines.read_memory(memory)


@of_owners
@of_shares
def test_root_of_the_guest_is_the_owner_of_the_folder(
    kernel: RealKernel, folder: Path, kind: Literal["c", "rust"], owner: int
) -> None:
    first = served(kernel, share(kind, folder, owner))
    with closing(Guest(os.dup(kernel.ends["work"]))) as guest:
        assert guest.text("hello") == b"hi there"
        assert guest.make("new") == 0
        assert guest.make("of-another", uid=1000) == EINVAL  # who is nobody on the host
        status = status_of(first.pid)
    assert (folder / "new").stat().st_uid == owner
    assert set(status["Uid"].split()) == {str(owner)}
    assert (int(status["CapEff"], 16), status["NoNewPrivs"], status["Seccomp"]) == (SHARES, "1", "2")


@of_shares
def test_a_share_that_is_only_read_cannot_be_written(
    kernel: RealKernel, folder: Path, kind: Literal["c", "rust"]
) -> None:
    served(kernel, share(kind, folder, os.getuid(), readonly=True))
    with closing(Guest(os.dup(kernel.ends["work"]))) as guest:
        assert guest.text("hello") == b"hi there"
        assert guest.make("new") == EROFS
        assert guest.ask(MKDIR, struct.pack("<II", 0o755, 0) + b"dir\0")[0] == EROFS
        mode = struct.pack("<IIQQQQQQIIIIIIII", 1, 0, *(0,) * 9, 0o40777, *(0,) * 4)  # FATTR_MODE
        assert guest.ask(SETATTR, mode)[0] == EROFS
    assert os.listdir(folder) == ["hello"]


@of_shares
def test_it_ends_when_its_client_has_gone(kernel: RealKernel, folder: Path, kind: Literal["c", "rust"]) -> None:
    served(kernel, share(kind, folder, os.getuid()))
    (engine,) = kernel.engines
    kernel.close_ends()
    assert kernel.waits(engine.pidfd, 20, "")
    assert engine.reap() == 0


@of_shares
def test_a_folder_that_was_swapped_is_refused(kernel: RealKernel, folder: Path, kind: Literal["c", "rust"]) -> None:
    step = share(kind, folder, os.getuid())
    folder.rename(folder.with_name("was"))
    folder.mkdir()
    with pytest.raises(StepFailed) as failed:
        served(kernel, step)
    assert failed.value.diagnostics[0].code == "E563"


@pytest.mark.skipif(not PASST, reason="there is no passt")
@as_root
def test_a_network_is_served_as_nobody(kernel: RealKernel) -> None:
    first = served(kernel, StartUserNetwork(PASST, "inet", OTHER, OTHER, MAPS))
    status = status_of(first.pid)
    assert (set(status["Uid"].split()), int(status["CapEff"], 16), status["Seccomp"]) == ({str(OTHER)}, 0, "2")
    engines.end(first, kernel)
