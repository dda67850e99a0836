"""Engines at a socket that mean no good, and real guests: the VM ends in order, whenever it is told to."""

from __future__ import annotations

import os
import signal
import socket
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.conftest import PATIENCE, Cli

pytestmark = pytest.mark.kvm
Payload = Callable[[str], Path]
GET_FEATURES, SET_FEATURES, GET_VRING_BASE, GET_PROTOCOL_FEATURES = 1, 2, 11, 15
GET_QUEUE_NUM, SET_VRING_ENABLE, GET_CONFIG = 17, 18, 24
FEATURES, PROTOCOL = 1 << 32 | 1 << 30, 1 << 9 | 1 << 3 | 1
NUMBERS = {GET_FEATURES: FEATURES, GET_PROTOCOL_FEATURES: PROTOCOL, GET_QUEUE_NUM: 1}
SECTORS = 2048


class Engine:
    """It speaks vhost-user as far as `asked` goes, which hears each request and says whether it is answered."""

    def __init__(self, path: Path, asked: Callable[[Engine, int], bool]) -> None:
        self.path, self._asked, self.reached = path, asked, Event()
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen(1)
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            self.end, _ = self._listening.accept()
            with self.end:
                while len(head := self._head()) == 12:
                    request, flags, size = struct.unpack("<III", head)
                    payload = self.end.recv(size, socket.MSG_WAITALL) if size else b""
                    if self._asked(self, request):
                        self._answer(request, flags, payload)

    def _head(self) -> bytes:
        head, files, _, _ = socket.recv_fds(self.end, 12, 8)
        for one in files:
            os.close(one)
        return head

    def _answer(self, request: int, flags: int, payload: bytes) -> None:
        if request in NUMBERS:
            answer = struct.pack("<Q", NUMBERS[request])
        elif request == GET_VRING_BASE:
            answer = payload
        elif request == GET_CONFIG:
            answer = payload[:12] + SECTORS.to_bytes(8, "little").ljust(len(payload) - 12, b"\0")
        else:
            answer = bytes(8) if flags & 8 else b""
        if answer:
            self.end.sendall(struct.pack("<III", request, 5, len(answer)) + answer)

    def stop(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join()


@pytest.fixture
def engines() -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []
    with tempfile.TemporaryDirectory() as folder:

        def make(asked: Callable[[Engine, int], bool]) -> Engine:
            made.append(Engine(Path(folder) / "engine.sock", asked))
            return made[-1]

        yield make
        for one in made:
            one.stop()


def falls_silent(engine: Engine, request: int) -> bool:
    """When a driver starts."""
    if request == SET_VRING_ENABLE:
        engine.reached.set()
    return not engine.reached.is_set()


def spec(cli: Cli, payload: Payload, engine: Engine) -> str:
    boot = {"kernel": str(payload("blocks")), "cmdline": "midway 4000000000"}
    return cli.spec(Path("replaced"), boot=boot, disks={"root": {"socket": str(engine.path)}})


def test_one_that_says_what_nobody_has_asked_for_ends_the_vm(
    cli: Cli, payload: Payload, engines: Callable[..., Engine]
) -> None:
    def asked(engine: Engine, request: int) -> bool:
        if request == SET_VRING_ENABLE:  # the answer, and one more
            engine.end.sendall(struct.pack("<IIIQ", request, 5, 8, 0))
        return True

    up = cli.start("up", spec(cli, payload, engines(asked)))
    _, err = up.communicate(timeout=PATIENCE)
    assert "error[E571]: the engine of root has hung up" in err, err
    assert up.returncode == 11, err
    assert cli.run("down", cli.name).code == 0
    assert not cli.state.exists()


def test_a_stop_does_not_wait_for_one_that_does_not_answer_the_guest(
    cli: Cli, payload: Payload, engines: Callable[..., Engine]
) -> None:
    """A vCPU waits for the answer just then."""
    engine = engines(falls_silent)
    up = cli.start("up", spec(cli, payload, engine))
    assert engine.reached.wait(PATIENCE)
    up.send_signal(signal.SIGINT)
    up.send_signal(signal.SIGINT)
    out, err = up.communicate(timeout=PATIENCE)
    assert "bug" not in err, out + err
    assert cli.run("down", cli.name).code == 0
    assert not cli.state.exists()


def test_one_that_says_nothing_any_more_is_waited_for_half_a_minute(
    cli: Cli, payload: Payload, engines: Callable[..., Engine]
) -> None:
    """No signal that the vCPU's thread gets meanwhile lets the time begin anew."""
    engine = engines(falls_silent)
    boot = {"kernel": str(payload("blocks")), "cmdline": "toggles 1"}
    up = cli.start("up", cli.spec(Path("replaced"), boot=boot, disks={"root": {"socket": str(engine.path)}}))
    _, err = up.communicate(timeout=2 * PATIENCE)
    assert "the engine did not answer for 30 s (SET_VRING_ENABLE)" in " ".join(err.split()), err
    assert up.returncode == 0, err


def test_a_nic_at_a_socket_is_no_harm_to_a_vm_whose_driver_means_none_well(
    cli: Cli, payload: Payload, engines: Callable[..., Engine]
) -> None:
    """An engine that agrees to all that it is told, and works on nothing."""
    ways = ("widths 1", "absent 50", "vectors 50", "window 1", "moves 50", "statuses 500", "askew 50", "restless 50")
    boot = {"kernel": str(payload("registers")), "cmdline": " ".join(ways)}
    engine = engines(lambda *_: True)
    done = cli.run("up", cli.spec(Path("replaced"), boot=boot, nics={"inet": {"socket": str(engine.path)}}))
    assert done.code == 0, done.out + done.err
    assert done.out == "".join(f"tried {one.split()[1]}\n" for one in ways) + "honest read 0\n", done.out
