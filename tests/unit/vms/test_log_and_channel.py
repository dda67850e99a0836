"""The bounded console log, and the packets between the processes of a VM."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from launcher.values import KIB, MIB
from launcher.vms.channel import Channel, Closed, listen, pack_bytes
from launcher.vms.log import ConsoleLog


def test_the_log_keeps_the_end_and_never_grows_over_its_bound(tmp_path: Path) -> None:
    path = tmp_path / "console.log"
    log = ConsoleLog(os.open(path, os.O_RDWR | os.O_CREAT))
    written = b""
    for n in range(300):
        line = f"{n:07}\n".encode() * 1024
        log.append(line)
        written += line
        assert path.stat().st_size <= MIB
    log.close()
    kept = path.read_bytes()
    assert len(kept) >= 512 * KIB
    assert written.endswith(kept)


def test_messages_and_console_bytes_arrive_whole_and_in_order() -> None:
    one, other = Channel.pair()
    one.send({"do": "stop"})
    one.send_bytes(b"\x00\xff")
    assert other.receive() == ({"do": "stop"}, b"")
    assert other.receive() == (None, b"\x00\xff")
    assert other.receive(wait=False) is None
    one.close()
    with pytest.raises(Closed):
        other.receive()
    other.close()


def test_telling_somebody_who_has_gone_says_so() -> None:
    one, other = Channel.pair()
    other.close()
    with pytest.raises(Closed):
        one.send({})
    one.close()


def test_an_offer_does_not_wait_for_a_reader_who_does_not_read() -> None:
    one, other = Channel.pair()
    packet = pack_bytes(bytes(32 * KIB))
    offered = 0
    while one.offer(packet):
        offered += 1
        assert offered < 1000
    assert offered > 0
    one.close()
    other.close()


def test_what_is_not_ours_reads_as_an_empty_message(tmp_path: Path) -> None:
    listener = listen(tmp_path / "control.sock")
    client = Channel.connect(tmp_path / "control.sock")
    server = Channel(listener.accept()[0])
    for garbage in (b"j{", b"j[1]", b"jnull", b"?", b"j\xff"):
        client.offer(garbage)
        assert server.receive() == ({}, b"")
    for end in (client, server, listener):
        end.close()


def test_only_the_owner_may_connect(tmp_path: Path) -> None:
    listen(tmp_path / "control.sock").close()
    assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600
