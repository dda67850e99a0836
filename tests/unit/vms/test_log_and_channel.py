"""The bounded console log, and the packets between the processes of a VM."""

from __future__ import annotations

import os
from pathlib import Path
from threading import Thread

import pytest

from launcher.values import KIB, MIB
from launcher.vms.channel import MOST, MOST_REPORT, Channel, Closed, accept, listen, pack_bytes
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
    server = accept(listener)
    for garbage in (b"j{", b"j[1]", b"jnull", b"?", b"j\xff"):
        client.offer(garbage)
        assert server.receive() == ({}, b"")
    for end in (client, server, listener):
        end.close()


def test_only_the_owner_may_connect(tmp_path: Path) -> None:
    listen(tmp_path / "control.sock").close()
    assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600


def talk(one: Channel, message: dict[str, object], other: Channel) -> object:
    """What arrives; a sender and a receiver at once, since a socket holds only so much."""
    sender = Thread(target=one.send, args=(message,))
    sender.start()
    packet = other.receive()
    sender.join()
    return packet and packet.message


def test_a_message_of_several_packets_arrives_whole_at_who_trusts_its_sender() -> None:
    one, other = Channel.pair()
    other.longest = MOST_REPORT
    large = {"report": "x" * (5 * MOST)}
    assert talk(one, large, other) == large
    assert talk(one, {"do": "leave"}, other) == {"do": "leave"}
    one.close()
    other.close()


@pytest.mark.parametrize("parts", [[MOST] * 3, [MOST + 1], [1], [MOST - 1], [2] * 5], ids=str)
def test_what_no_sender_of_ours_cuts_so_reads_as_empty(parts: list[int]) -> None:
    """And it is read at once: nobody waits for the end of a message that never ends."""
    one, other = Channel.pair()
    for size in parts:
        assert one.offer(b"p" + bytes(size - 1))
        assert size != MOST or other.receive(wait=False) in (None, ({}, b""))
    assert size == MOST or other.receive(wait=False) == ({}, b"")
    one.close()
    other.close()
