"""The console's rings, as keeper and runner use them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from launcher.kernel.machine import Console
from launcher.native import ffi, lib
from launcher.values import KIB, MIB


@pytest.fixture
def console() -> Iterator[Console]:
    made = Console()
    yield made
    made.close()


def say(console: Console, text: bytes) -> None:
    """As the guest's serial port does, through the same ring (a ring_write that always has room)."""
    ring = console.output
    for start in range(0, len(text), 64 * KIB):
        bite = text[start : start + 64 * KIB]
        ffi.cast("uint64_t *", ring.pointer)[1] = console.head  # tail: nobody holds the writer up
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
