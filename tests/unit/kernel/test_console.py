"""The console's rings, as keeper and runner use them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from launcher.kernel.console import Console
from launcher.native import ffi, lib
from launcher.values import KIB, MIB


@pytest.fixture
def console() -> Iterator[Console]:
    made = Console()
    yield made
    made.close()


def shared(ring: Any) -> Any:
    """The words that both processes can write: head and tail."""
    return ffi.cast("uint64_t *", ring._memory)


def say(console: Console, text: bytes) -> None:
    """As the guest's serial port does, through the same ring (a ring_write that always has room)."""
    ring = console.output
    for start in range(0, len(text), 64 * KIB):
        bite = text[start : start + 64 * KIB]
        shared(ring)[1] = console.head  # tail: nobody holds the writer up
        assert lib.ring_write(ring.pointer, ring.event, bite, len(bite)) == len(bite)


def test_output_is_read_from_where_the_reader_is(console: Console) -> None:
    say(console, b"hello world")
    assert console.read(0, 5) == (b"hello", 5, 0)
    assert console.read(5, 100) == (b" world", 11, 0)
    assert console.read(11, 100) == (b"", 11, 0)


def test_a_reader_that_falls_behind_is_told_what_it_lost(console: Console) -> None:
    total = 3 * MIB
    say(console, bytes(range(256)) * (total // 256))
    data, position, lost = console.read(0, 16)
    assert lost == total - MIB + 1
    assert data == bytes((lost + n) % 256 for n in range(16))
    assert position == lost + 16


def test_asking_to_be_woken_is_refused_while_there_is_something_to_read(console: Console) -> None:
    say(console, b"a")
    assert not console.wait(0)
    assert console.wait(1)


def test_input_that_finds_no_room_is_not_taken(console: Console) -> None:
    room = console.write(bytes(MIB))
    assert room == 64 * KIB
    assert console.write(b"x") == 0
    assert console.stuck()
    assert os.eventfd_read(console.arrived) == 1


def nonsense(console: Console, head: int, *, tail: int = 0) -> None:
    """As a runner can that was taken over."""
    shared(console.output)[0] = head
    shared(console.input)[0], shared(console.input)[1] = head, tail


@pytest.mark.parametrize("head", [2, (1 << 64) - 1, 1 << 63, 1 << 41], ids=hex)
def test_a_head_that_no_writer_can_have_reached_is_nonsense_and_nothing_is_read(console: Console, head: int) -> None:
    say(console, b"hello")
    assert console.read(0, 5) == (b"hello", 5, 0)
    nonsense(console, head)
    assert console.read(5, 100) == (b"", 5, 0)
    assert (console.broken, console.head) == (True, 5)
    assert console.wait(5)
    shared(console.output)[0] = 5  # it is believed nothing any more
    assert console.broken


def test_a_reader_that_claims_what_it_was_never_given_gets_nothing_more(console: Console) -> None:
    assert console.write(b"typed") == 5
    shared(console.input)[1] = 6
    assert console.write(b"more") == 0
    assert console.stuck()
    assert console.broken


def test_what_is_typed_goes_where_we_have_written_last_whatever_the_head_says(console: Console) -> None:
    console.write(b"ab")
    shared(console.input)[0] = 1 << 40
    console.write(b"cd")
    assert shared(console.input)[0] == 4
    assert bytes(ffi.buffer(console.input._memory))[24:28] == b"abcd"


def test_a_writer_that_is_always_faster_costs_its_reader_all_of_it(console: Console) -> None:
    """It does not go round for ever."""
    shared(console.output)[0] = 10 * MIB
    data, position, lost = console.read(0, MIB)
    assert len(data) + lost == position == 10 * MIB
