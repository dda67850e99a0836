"""Messages of vhost-user to an engine that answers as it should, and to one that does not."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from threading import Thread

import pytest

from launcher.kernel import vhost_user
from launcher.kernel.api import MemoryPart, RingPlace
from launcher.kernel.vhost_user import CONFIG, MQ, NEED_REPLY, REPLY, REPLY_ACK, VERSION, VhostUser
from launcher.native import ffi

FEATURES, PROTOCOL = 1 << 32 | 1 << 30 | 1 << 9, 1 << MQ | 1 << REPLY_ACK | 1 << CONFIG
Answer = Callable[[int, bytes], bytes | None]  # (request, its payload) -> the payload of the answer


def number(value: int) -> bytes:
    return struct.pack("<Q", value)


def well_behaved(request: int, payload: bytes) -> bytes | None:
    answers = {1: number(FEATURES), 15: number(PROTOCOL), 17: number(4), 11: payload[:4] + bytes(4)}
    return payload[:12] + bytes(range(60)) if request == 24 else answers.get(request)


class Engine:
    """`answer` makes answers; None: only what was asked to be acknowledged is. `said`: requests, payloads, files."""

    def __init__(self, answer: Answer = well_behaved, refuses: int = 0) -> None:
        ours, self._end = socket.socketpair()
        self.session = VhostUser(ours.detach())
        self.said: list[tuple[int, bytes, int]] = []
        self._answer, self._refuses = answer, refuses
        self._thread = Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._end, closing(self._end):
            while len(head := self._head()) == 12:
                request, flags, size = struct.unpack("<III", head)
                payload = self._end.recv(size, socket.MSG_WAITALL) if size else b""
                self.said.append((request, payload, self._files))
                answer = self._answer(request, payload)
                if answer is None and flags & NEED_REPLY:
                    answer = number(request == self._refuses)
                if answer is not None:
                    self._end.sendall(struct.pack("<III", request, VERSION | REPLY, len(answer)) + answer)

    def _head(self) -> bytes:
        try:
            head, files, _, _ = socket.recv_fds(self._end, 12, 8)
        except OSError:
            return b""
        self._files = len(files)
        for one in files:
            os.close(one)
        return head

    def end(self) -> None:
        self.session.close()
        self._thread.join()


@pytest.fixture
def engines() -> Iterator[Callable[..., Engine]]:
    made: list[Engine] = []

    def make(*arguments: object, **named: object) -> Engine:
        made.append(Engine(*arguments, **named))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.end()


def part(file: int | None = 0) -> MemoryPart:
    return MemoryPart(0x100000, 0x200000, 0x7F0000000000, file, 0x1000)


def test_a_session_as_the_standard_has_it(engines: Callable[..., Engine]) -> None:
    engine = engines()
    it = engine.session
    assert it.begin(1 << MQ | 1 << CONFIG) == FEATURES & ~(1 << 30)
    assert it.queues() == 4
    assert it.config(60) == bytes(range(60))
    it.set_features(1 << 32)
    it.set_memory([part()])
    it.set_ring(RingPlace(1, 128, 0x1000, 0x2000, 0x3000))
    it.set_call(1, 0)
    it.set_kick(1, 0)
    it.enable(1)
    it.set_call(1, -1)
    it.stop(1)
    assert [(request, files) for request, _, files in engine.said] == [
        *((1, 0), (15, 0), (16, 0), (3, 0), (17, 0), (24, 0), (2, 0), (5, 1), (8, 0), (10, 0), (9, 0)),
        *((13, 1), (12, 1), (18, 0), (13, 1), (11, 0)),
    ]
    said = {request: payload for request, payload, _ in engine.said}
    assert said[2] == number(1 << 32 | 1 << 30)  # queues are enabled one by one
    assert said[5] == struct.pack("<IIQQQQ", 1, 0, 0x100000, 0x200000, 0x7F0000000000, 0x1000)
    assert said[9] == struct.pack("<IIQQQQ", 1, 0, 0x1000, 0x3000, 0x2000, 0)
    assert said[13] == number(1)  # with an eventfd that nobody hears


def test_an_engine_without_protocol_features_is_asked_for_none(engines: Callable[..., Engine]) -> None:
    engine = engines(lambda request, _: number(1 << 32) if request == 1 else None)
    assert engine.session.begin(1 << MQ) == 1 << 32
    assert engine.session.queues() == 1
    engine.session.enable(0)
    engine.end()
    assert [request for request, _, _ in engine.said] == [1, 3]


def test_a_refusal_has_the_name_of_the_message(engines: Callable[..., Engine]) -> None:
    engine = engines(refuses=5)
    engine.session.begin(0)
    with pytest.raises(OSError, match="the engine refuses") as refused:
        engine.session.set_memory([part()])
    assert (refused.value.errno, refused.value.filename) == (errno.EPROTO, "SET_MEM_TABLE")


def test_private_memory_is_not_sent(engines: Callable[..., Engine]) -> None:
    engine = engines()
    engine.session.begin(0)
    with pytest.raises(OSError, match="private"):
        engine.session.set_memory([part(None)])


NONSENSE = {
    "another message": lambda request, _: b"" if request != 1 else number(0) + number(0),
    "too long": lambda _, payload: bytes(1 << 16),
    "too short": lambda _, payload: b"\0",
    "empty": lambda _, payload: b"",
}


@pytest.mark.parametrize("kind", NONSENSE)
def test_an_answer_that_is_none_ends_the_session(kind: str, engines: Callable[..., Engine]) -> None:
    session = engines(NONSENSE[kind]).session
    with pytest.raises(OSError, match="the engine") as failed:
        session.begin(0)
    assert failed.value.filename == "GET_FEATURES"
    with pytest.raises(OSError, match="the engine"):  # what would come now might answer something else
        session.set_features(0)


def test_an_engine_that_never_answers_is_waited_for_as_long_as_the_limit(
    engines: Callable[..., Engine], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vhost_user, "LONGEST", 1)
    session = engines(lambda *_: None).session
    with pytest.raises(OSError, match="did not answer for 1 s"):
        session.begin(0)


def test_an_engine_that_says_what_nobody_has_asked_for_is_done_with() -> None:
    """What is left unread would wake the runner for ever, and be taken for the next answer."""
    ours, theirs = socket.socketpair()
    session = VhostUser(ours.detach())
    with theirs:
        theirs.send(struct.pack("<III", 1, VERSION | REPLY, 8) + number(0))
        assert session.take()
        with pytest.raises(OSError, match="nobody has asked for"):
            session.begin(0)
    session.close()


def test_an_answer_that_somebody_waits_for_is_no_alarm(engines: Callable[..., Engine]) -> None:
    seen: list[bool] = []

    def answer(request: int, payload: bytes) -> bytes | None:
        seen.append(engine.session.take())
        return well_behaved(request, payload)

    engine = engines(answer)
    engine.session.begin(0)
    assert seen
    assert not any(seen)
    assert not engine.session.take()


def test_an_engine_that_hangs_up_has_gone_and_is_seen() -> None:
    ours, theirs = socket.socketpair()
    session = VhostUser(ours.detach())
    assert not session.take()
    theirs.close()
    assert session.take()
    with pytest.raises(OSError, match="the engine has gone"):
        session.begin(0)
    session.close()


def test_unanswered_are_as_many_requests_as_were_offered_and_have_not_come_back(engines: Callable[..., Engine]) -> None:
    session = engines().session
    ring = ffi.new("uint16_t[]", 16)
    driver = int(ffi.cast("uintptr_t", ring))
    place = RingPlace(0, 4, driver, driver, driver + 16)
    assert session.unanswered(place) == 0
    ring[1] = 1  # past the last number
    ring[9] = 0xFFFE
    assert session.unanswered(place) == 3
    ring[9] = 1
    assert session.unanswered(place) == 0
