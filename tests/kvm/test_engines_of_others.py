"""A disk whose engine somebody else runs, at a socket: an honest one, and some that are not."""

from __future__ import annotations

import json
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

from tests.conftest import Cli, Done
from tests.disk_images import STORAGE_DAEMON, Daemon, lettered, storage_daemon

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]


def up(cli: Cli, payload: Payload, path: Path, what: str = "reads 3") -> Done:
    boot = {"kernel": str(payload("blocks")), "cmdline": what}
    return cli.run("up", cli.spec(Path("replaced"), boot=boot, disks={"fast": {"socket": str(path)}}))


def serving(path: Path, image: Path, requests: int = 0) -> Daemon:
    """`requests`: no more in a second, 0: as many as there are."""
    blocks = ["--object", json.dumps({"qom-type": "throttle-group", "id": "slow", "limits": {"iops-total": requests}})]
    blocks += ["--blockdev", f"driver=file,node-name=file,filename={image}"]
    blocks += ["--blockdev", "driver=throttle,throttle-group=slow,node-name=disk,file=file"]
    export = f"type=vhost-user-blk,id=export,node-name=disk,addr.type=unix,addr.path={path},writable=on"
    return Daemon(*blocks, "--export", export)


@pytest.mark.skipif(storage_daemon() is None, reason=f"there is no {STORAGE_DAEMON}")
def test_a_guest_reads_what_the_users_engine_serves_life_after_life(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    path = tmp_path / "fast.sock"
    with serving(path, lettered(tmp_path / "image")):
        for _ in range(2):
            done = up(cli, payload, path)
            assert done.code == 0, done.out + done.err
            assert done.out == "block 65\nblock 66\nblock 67\ntried 3\nhonest read 65\n"


@pytest.mark.skipif(storage_daemon() is None, reason=f"there is no {STORAGE_DAEMON}")
def test_nothing_is_written_for_a_driver_that_has_reset_its_disk(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    """Whose memory is another's by then. The engine answers before the request that it is at has come back."""
    path = tmp_path / "slow.sock"
    with serving(path, lettered(tmp_path / "image"), requests=2):
        done = up(cli, payload, path, "late 3")
    assert done.code == 0, done.out + done.err
    assert done.out == "late 0\n" * 3 + "tried 3\nhonest read 65\n"


GET_FEATURES = 1


def silent(_: socket.socket) -> None:
    """It says nothing."""


def leaves(peer: socket.socket) -> None:
    peer.shutdown(socket.SHUT_RDWR)


def says_too_much(peer: socket.socket) -> None:
    peer.sendall(struct.pack("<III", GET_FEATURES, 5, 0xFFFFFFFF) + bytes(1 << 16))


def answers_another_question(peer: socket.socket) -> None:
    peer.sendall(struct.pack("<IIIQ", 24, 5, 8, 0))


def has_no_features(peer: socket.socket) -> None:
    peer.sendall(struct.pack("<IIIQ", GET_FEATURES, 5, 8, 0))


def stops_in_the_middle(peer: socket.socket) -> None:
    peer.sendall(struct.pack("<III", GET_FEATURES, 5, 8) + bytes(3))


@contextmanager
def answering(path: Path, answer: Callable[[socket.socket], None]) -> Iterator[None]:
    """To its first message; then it waits until it is left."""

    def serve() -> None:
        with suppress(OSError):
            peer, _ = listening.accept()
            with peer:
                peer.recv(4096)
                answer(peer)
                while peer.recv(4096):
                    pass

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(1)
        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        thread.join()


LIARS = (silent, leaves, says_too_much, answers_another_question, has_no_features, stops_in_the_middle)


@pytest.mark.parametrize("liar", LIARS, ids=lambda liar: liar.__name__)
def test_an_engine_that_is_none_is_told_and_nothing_runs(
    cli: Cli, payload: Payload, tmp_path: Path, liar: Callable[[socket.socket], None]
) -> None:
    path = tmp_path / "fast.sock"
    with answering(path, liar):
        done = up(cli, payload, path)
    assert done.code == 11, done.out + done.err
    assert re.search(r"error\[E5[67]\d\]", done.err), done.err
    assert "Traceback" not in done.err
    assert "block" not in done.out
    assert cli.run("down", cli.name).code == 0


def test_a_socket_at_which_nobody_listens_is_told(cli: Cli, payload: Payload, tmp_path: Path) -> None:
    path = tmp_path / "fast.sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
    done = up(cli, payload, path)
    assert done.code in (1, 11), done.out + done.err
    assert re.search(r"error\[E[56]\d\d\]", done.err + done.out), done.out + done.err
    assert "Traceback" not in done.err
