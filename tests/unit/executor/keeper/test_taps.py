"""Sockets of somebody else's engines, and taps that are not to be had: what a step says of them."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from launcher.errors import StepFailed
from launcher.executor.keeper import engine_sockets, taps
from launcher.images.rights import identity_of
from launcher.kernel.real import RealKernel
from launcher.plan.virtio import ConnectEngine, MakeTap, OpenTap
from tests.fakes.kernel import FakeKernel

ANSWER = struct.pack("<IIIQ", 1, 5, 8, 1 << 32)
Listen = Callable[[bytes], Path]


@pytest.fixture
def listens(tmp_path: Path) -> Iterator[Listen]:
    """Somebody who answers whoever comes with these bytes, in two pieces."""
    open_: list[socket.socket] = []

    def begin(answer: bytes) -> Path:
        path, listening = tmp_path / "engine.sock", socket.socket(socket.AF_UNIX)
        listening.bind(str(path))
        listening.listen(1)
        open_.append(listening)

        def serve() -> None:
            with listening.accept()[0] as one:
                if one.recv(12, socket.MSG_WAITALL) and answer:
                    one.send(answer[:12])
                    one.send(answer[12:])
                    with suppress(ConnectionResetError):
                        one.recv(1)

        threading.Thread(target=serve, daemon=True).start()
        return path

    yield begin
    for one in open_:
        one.close()


def step(path: Path) -> ConnectEngine:
    """As it is planned now."""
    return ConnectEngine("fast", str(path), identity_of(path.stat()) if path.exists() else "0:0")


def refused(path: Path, code: str = "E566") -> str:
    kernel = RealKernel()
    with pytest.raises(StepFailed) as failed:
        taps.connect(step(path), kernel)
    assert failed.value.diagnostics[0].code == code
    assert kernel.ends == {}
    return failed.value.diagnostics[0].message


def test_an_engine_that_answers_is_the_runners(listens: Listen) -> None:
    kernel = RealKernel()
    taps.connect(step(listens(ANSWER)), kernel)
    assert os.readlink(f"/proc/self/fd/{kernel.ends['fast']}").startswith("socket:")
    with socket.socket(fileno=os.dup(kernel.ends["fast"])) as end:  # and not a byte of the answer is left
        end.setblocking(False)
        with pytest.raises(BlockingIOError):
            end.recv(1)
    kernel.close_ends()


def test_who_speaks_otherwise_is_no_engine(listens: Listen) -> None:
    assert "is not vhost-user" in refused(listens(b"HTTP/1.1 400 Bad Request"))


def test_who_hangs_up_is_none(listens: Listen) -> None:
    assert "hung up" in refused(listens(b""))


def test_nobody_nothing_and_a_file_are_none(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "none")
    (tmp_path / "file").write_text("")
    assert "it is no socket" in refused(tmp_path / "file")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "left"))
    assert "Connection refused" in refused(tmp_path / "left")


def test_another_socket_than_planned_is_not_even_greeted(tmp_path: Path) -> None:
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as planned, socket.socket(socket.AF_UNIX) as other:
        planned.bind(str(path))
        planned_step = step(path)
        path.rename(tmp_path / "was")
        other.bind(str(path))
        other.listen(1)
        other.setblocking(False)
        with pytest.raises(StepFailed, match="another socket than when it was planned") as failed:
            taps.connect(planned_step, RealKernel())
        assert failed.value.diagnostics[0].code == "E563"
        with pytest.raises(BlockingIOError):
            other.accept()


def test_who_has_a_client_already_is_waited_for_so_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_sockets, "LONGEST", 0.2)
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(tmp_path / "busy"))
        busy.listen(1)
        assert "no answer within 0.2 s" in refused(tmp_path / "busy")


@pytest.mark.parametrize(
    ("step", "error", "code", "help_"),
    [
        (MakeTap("lan", "vml-1", "br0", 1500), OSError(1, "Operation not permitted", "TUNSETIFF"), "E564", "ordinary"),
        (MakeTap("lan", "vml-1", "br0", 1500), OSError(16, "Device or resource busy", "TUNSETIFF"), "E564", "ip -d"),
        (MakeTap("lan", "vml-1", "br0", 1500), OSError(19, "there is no interface br0", "br0"), "E565", "bridge"),
        (MakeTap("lan", "vml-1", "br0", 1500), OSError(95, "not supported", "RTM_SETLINK"), "E565", ""),
        (OpenTap("lan", "tap7"), OSError(16, "Device or resource busy", "TUNSETIFF"), "E564", "one VM"),
        (OpenTap("lan", "tap7"), OSError(19, "there is no interface tap7", "tap7"), "E564", "add tap7 mode tap"),
        (OpenTap("lan", "tap7"), OSError(1, "Operation not permitted", "TUNSETIFF"), "E564", "another user"),
    ],
)
def test_a_tap_that_is_not_to_be_had_says_why_and_what_helps(
    step: MakeTap | OpenTap, error: OSError, code: str, help_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> int:
        raise error

    kernel = FakeKernel()
    monkeypatch.setattr(kernel, "make_tap", fails)
    monkeypatch.setattr(kernel, "open_tap", fails)
    with pytest.raises(StepFailed) as failed:
        (taps.make if isinstance(step, MakeTap) else taps.attach)(step, kernel)  # type: ignore[arg-type]
    (found,) = failed.value.diagnostics
    assert found.code == code
    assert help_ in "".join(found.help)
    assert kernel.ends == {}
