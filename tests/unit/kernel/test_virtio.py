"""A virtio function as its driver sees it: what the standard says of each register, and a guest that does not care."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.kernel.virtio import VirtioRegisters
from launcher.machine import virtio
from launcher.machine.virtio import BAR_SIZE, CONFIG, ISR, NO_VECTOR, NOTIFY, VERSION_1
from launcher.native import lib

ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 0x40
QUEUE_SIZE = 256
OFFERED = 1 << VERSION_1 | 1 << 29 | 1 << 9
CONFIGURATION = bytes(range(60))


def registers(queues: int = 2) -> VirtioRegisters:
    return VirtioRegisters(OFFERED, queues, CONFIGURATION)


def read(it: VirtioRegisters, offset: int, size: int) -> int:
    return int.from_bytes(it.read(offset, size), "little")


def write(it: VirtioRegisters, offset: int, size: int, value: int) -> str:
    return it.write(offset, value.to_bytes(size, "little"))


def choose(it: VirtioRegisters, features: int) -> int:
    """The status after a driver has chosen these features."""
    write(it, 0x14, 1, ACKNOWLEDGE | DRIVER)
    for half in (0, 1):
        write(it, 0x08, 4, half)
        write(it, 0x0C, 4, features >> 32 * half & 0xFFFFFFFF)
    write(it, 0x14, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK)
    return read(it, 0x14, 1)


def queue(it: VirtioRegisters, number: int, at: int = 0x10000, size: int = 128, vector: int = 1) -> None:
    write(it, 0x16, 2, number)
    write(it, 0x18, 2, size)
    write(it, 0x1A, 2, vector)
    for n, place in enumerate((0x20, 0x28, 0x30)):
        write(it, place, 4, at + n * 0x1000)
        write(it, place + 4, 4, 1)
    write(it, 0x1C, 2, 1)


def started(it: VirtioRegisters) -> str:
    choose(it, OFFERED)
    queue(it, 0)
    return write(it, 0x14, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)


def test_a_driver_that_follows_the_standard_starts_its_queues() -> None:
    it = registers()
    high = 1 << 32
    assert started(it) == "starts"
    assert (it.features, it.started) == (OFFERED, True)
    assert list(it.rings()) == [(0, 128, high | 0x10000, high | 0x11000, high | 0x12000)]
    assert it.vector(0) == 1
    assert it.vector(1) == NO_VECTOR
    assert write(it, NOTIFY, 2, 0) == "notified"
    assert write(it, NOTIFY + 4, 4, 1) == "notified"
    assert write(it, NOTIFY + 8, 2, 2) == ""  # there are two


def test_the_features_are_read_by_halves() -> None:
    it = registers()
    found = 0
    for half in (0, 1, 2):
        write(it, 0x00, 4, half)
        found |= read(it, 0x04, 4) << 32 * half
    assert found == OFFERED


@pytest.mark.parametrize("features", [0, 1 << VERSION_1 | 1 << 5, 1 << 29, OFFERED | 1 << 33])
def test_features_that_cannot_be_are_not_ok(features: int) -> None:
    """One that is not offered, or a driver of the time before the standard."""
    assert not choose(registers(), features) & FEATURES_OK


def test_a_driver_whose_features_are_not_ok_does_not_start() -> None:
    it = registers()
    choose(it, 0)
    queue(it, 0)
    assert write(it, 0x14, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK) == ""
    assert not read(it, 0x14, 1) & DRIVER_OK


def test_what_was_said_once_is_not_said_otherwise() -> None:
    """Features after FEATURES_OK; a queue after it was enabled, but for its vector."""
    it = registers()
    started(it)
    write(it, 0x08, 4, 0)
    write(it, 0x0C, 4, 0)
    queue(it, 0, at=0x90000, size=64)
    assert it.features == OFFERED
    assert (read(it, 0x20, 4), read(it, 0x18, 2)) == (0x10000, 128)
    assert write(it, 0x14, 1, 0xF) == ""
    assert write(it, 0x1A, 2, 2) == "rewired"
    assert it.vector(0) == 2


def test_the_reset_forgets_all_when_what_was_started_has_stopped() -> None:
    it = registers()
    assert write(it, 0x1A, 2, 1) == ""
    assert write(it, 0x14, 1, 0) == ""  # each driver begins with it: nobody is stopped
    assert it.vector(0) == NO_VECTOR
    started(it)
    assert write(it, 0x14, 1, 0) == "stops"
    assert it.status == ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK  # its engine may not be done yet
    it.reset()
    assert (it.features, it.status, it.vector(0), it.started) == (0, 0, NO_VECTOR, False)
    write(it, 0x16, 2, 0)
    assert (read(it, 0x18, 2), read(it, 0x1C, 2), read(it, 0x20, 8)) == (QUEUE_SIZE, 0, 0)
    assert write(it, NOTIFY, 2, 0) == ""


def test_a_queue_that_is_not_there_has_no_size() -> None:
    it = registers()
    write(it, 0x16, 2, 7)
    assert (read(it, 0x18, 2), read(it, 0x12, 2)) == (0, 2)
    queue(it, 7)
    assert (read(it, 0x18, 2), read(it, 0x1C, 2), read(it, 0x1E, 2)) == (0, 0, 0)


@pytest.mark.parametrize("size", [0, 3, 100, 512, 0xFFFF])
def test_a_size_that_no_queue_can_have_is_not_taken(size: int) -> None:
    it = registers()
    write(it, 0x18, 2, size)
    assert read(it, 0x18, 2) == QUEUE_SIZE


def test_a_vector_that_is_not_there_reads_back_as_none() -> None:
    it = registers()
    write(it, 0x1A, 2, 3)
    write(it, 0x10, 2, 3)
    assert (read(it, 0x1A, 2), read(it, 0x10, 2)) == (NO_VECTOR, NO_VECTOR)
    write(it, 0x1A, 2, 2)
    assert read(it, 0x1A, 2) == 2


def test_addresses_come_in_halves_or_whole() -> None:
    it = registers()
    write(it, 0x24, 4, 0x12)
    write(it, 0x20, 4, 0x34567000)
    write(it, 0x28, 8, 0xAB_0000_1000)
    assert (read(it, 0x20, 8), read(it, 0x28, 4), read(it, 0x2C, 4)) == (0x12_3456_7000, 0x1000, 0xAB)


def test_an_engine_that_fails_is_told_to_the_driver_and_reset_mends_it() -> None:
    it = registers()
    started(it)
    it.fail()
    assert read(it, 0x14, 1) & NEEDS_RESET
    assert read(it, ISR, 1) == 2
    assert read(it, ISR, 1) == 0  # it was told
    assert write(it, 0x14, 1, 0) == "stops"
    it.reset()
    it.fail()  # too late: nobody runs who could be told
    assert (read(it, 0x14, 1), read(it, ISR, 1)) == (0, 0)
    assert started(it) == "starts"


def test_its_own_configuration_ends_in_zeroes() -> None:
    it = registers()
    assert it.read(CONFIG, 8) == CONFIGURATION[:8]
    assert it.read(CONFIG + 58, 4) == CONFIGURATION[58:] + b"\0\0"
    assert it.read(CONFIG + 0xFFC, 4) == bytes(4)


@given(
    st.lists(
        st.tuples(
            st.one_of(st.integers(0, 0x40), st.integers(0, BAR_SIZE)),
            st.sampled_from([1, 2, 4, 8]),
            st.one_of(st.integers(0, 15), st.integers(0, 2**64 - 1)),
            st.booleans(),
        ),
        max_size=60,
    )
)
def test_whatever_a_guest_does_its_driver_starts_and_stops_in_turn(accesses: list[tuple[int, int, int, bool]]) -> None:
    it, runs = registers(), False
    for offset, size, value, writes in accesses:
        if not writes:
            assert len(it.read(offset, size)) == size
            continue
        follows = write(it, offset, size, value & (1 << 8 * size) - 1)
        assert not runs if follows == "starts" else runs or not follows
        if follows == "starts":
            assert not it.features & ~OFFERED
            assert it.features >> VERSION_1 & 1
            assert all(0 < size <= QUEUE_SIZE for _, size, *_ in it.rings())
        elif follows == "stops":
            it.reset()
        runs = it.started
        assert runs == (follows == "starts") if follows in ("starts", "stops") else True
        assert all(it.vector(n) <= 2 or it.vector(n) == NO_VECTOR for n in (0, 1))


def test_c_and_configuration_space_put_them_in_the_same_places() -> None:
    c = (lib.VIRTIO_COMMON, lib.VIRTIO_ISR, lib.VIRTIO_CONFIG, lib.VIRTIO_NOTIFY, lib.VIRTIO_NOTIFY_STEP)
    assert c == (virtio.COMMON, virtio.ISR, virtio.CONFIG, virtio.NOTIFY, virtio.NOTIFY_STEP)
    assert virtio.pieces(lib.VIRTIO_MOST_QUEUES + 1)[1].span.end <= virtio.PENDING


@pytest.mark.parametrize(("queues", "config"), [(0, 60), (256, 60), (1, 257)])
def test_a_function_that_has_no_room_is_none(queues: int, config: int) -> None:
    with pytest.raises(ValueError, match="queues"):
        VirtioRegisters(OFFERED, queues, bytes(config))
