"""A virtio function as its driver sees it: what the standard says of each register, and a guest that does not care."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.machine import capabilities as caps
from launcher.machine.function import PassedFunction
from launcher.machine.policy import Shape
from launcher.machine.virtio import (
    ACKNOWLEDGE,
    BAR_SIZE,
    COMMON,
    CONFIG,
    DRIVER,
    DRIVER_OK,
    FEATURES_OK,
    ISR,
    KINDS,
    NEEDS_RESET,
    NO_VECTOR,
    NOTIFY,
    QUEUE_SIZE,
    TABLE,
    VERSION_1,
    Notify,
    Rewire,
    Ring,
    Start,
    Stop,
    VirtioRegisters,
    offerable,
    pieces,
)
from launcher.machine.virtio_config import VirtioConfig, config_space
from launcher.plan.changes import Forward
from launcher.values import Span

OFFERED = 1 << VERSION_1 | 1 << 29 | 1 << 9
CONFIGURATION = bytes(range(60))


def registers(queues: int = 2) -> VirtioRegisters:
    return VirtioRegisters(OFFERED, queues, CONFIGURATION)


def read(it: VirtioRegisters, offset: int, size: int) -> int:
    return int.from_bytes(it.read(offset, size), "little")


def write(it: VirtioRegisters, offset: int, size: int, value: int) -> tuple[object, ...]:
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


def started(it: VirtioRegisters) -> tuple[object, ...]:
    choose(it, OFFERED)
    queue(it, 0)
    return write(it, 0x14, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)


def test_a_driver_that_follows_the_standard_starts_its_queues() -> None:
    it = registers()
    high = 1 << 32
    assert started(it) == (Start(OFFERED, (Ring(0, 128, high | 0x10000, high | 0x11000, high | 0x12000),)),)
    assert it.vector(0) == 1
    assert it.vector(1) == NO_VECTOR
    assert write(it, NOTIFY, 2, 0) == (Notify(0),)
    assert write(it, NOTIFY + 4, 4, 1) == (Notify(1),)
    assert write(it, NOTIFY + 8, 2, 2) == ()  # there are two


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
    assert write(it, 0x14, 1, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK) == ()
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
    assert write(it, 0x14, 1, 0xF) == ()
    assert write(it, 0x1A, 2, 2) == (Rewire(),)
    assert it.vector(0) == 2


def test_the_reset_stops_what_was_started_and_forgets_all() -> None:
    it = registers()
    assert write(it, 0x14, 1, 0) == (Rewire(),)  # each driver begins with it: nobody is stopped
    started(it)
    assert write(it, 0x14, 1, 0) == (Stop(), Rewire())
    assert (it.features, it.status, it.vector(0), it.started) == (0, 0, NO_VECTOR, False)
    write(it, 0x16, 2, 0)
    assert (read(it, 0x18, 2), read(it, 0x1C, 2), read(it, 0x20, 8)) == (QUEUE_SIZE, 0, 0)
    assert write(it, NOTIFY, 2, 0) == ()


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
    write(it, 0x14, 1, 0)
    assert read(it, 0x14, 1) == 0
    assert started(it)


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
        for deed in it.write(offset, (value & (1 << 8 * size) - 1).to_bytes(size, "little")):
            if isinstance(deed, Start):
                assert not runs
                runs = True
                assert not deed.features & ~OFFERED
                assert deed.features >> VERSION_1 & 1
                assert all(0 < ring.size <= QUEUE_SIZE for ring in deed.rings)
            elif isinstance(deed, Stop):
                assert runs
                runs = False
            elif isinstance(deed, Notify):
                assert 0 <= deed.queue < 2
        assert all(it.vector(n) <= 2 or it.vector(n) == NO_VECTOR for n in (0, 1))


def test_the_areas_of_a_ring_have_the_sizes_of_the_standard() -> None:
    assert Ring(0, 256, 0x1000, 0x4000, 0x8000).areas() == (Span(0x1000, 4096), Span(0x4000, 518), Span(0x8000, 2054))


@pytest.mark.parametrize("kind", KINDS)
def test_no_feature_is_offered_that_engines_would_have_to_hear_of(kind: str) -> None:
    """IOMMU, packed rings, notification data, reset of one queue, a control queue, logging, protocol features."""
    found = offerable(kind, (1 << 64) - 1)  # type: ignore[arg-type]
    assert found >> VERSION_1 & 1
    assert not any(found >> bit & 1 for bit in (17, 22, 26, 30, 33, 34, 35, 36, 38, 40))


# -- configuration space --------------------------------------------------------------------------------------------


def window(model: VirtioConfig) -> int:
    image = model.image()
    return next(one.offset for one in caps.capabilities(image) if image[one.offset + 3] == 5)


@pytest.mark.parametrize("kind", KINDS)
def test_configuration_space_has_the_capabilities_of_a_modern_device(kind: str) -> None:
    image = config_space(kind, 3)  # type: ignore[arg-type]
    assert struct.unpack_from("<HH", image) == (0x1AF4, 0x1040 + KINDS[kind][0])  # type: ignore[index]
    found = list(caps.capabilities(image))
    assert [one.id for one in found] == [caps.VENDOR] * 5 + [caps.MSIX]
    assert [image[one.offset + 3] for one in found[:5]] == [1, 3, 4, 2, 5]
    notify = found[3].offset
    assert struct.unpack_from("<III", image, notify + 8) == (NOTIFY, 0x1000, 4)


def test_its_bar_is_served_whole_but_for_what_is_behind_its_tables() -> None:
    parts = pieces(3)
    assert [one.served for one in parts] == ["registers", "table", "pending"]
    assert all(one.span.end <= BAR_SIZE for one in parts)


def test_firmware_reaches_the_registers_by_configuration_space() -> None:
    """Through the model of any function, as the guest does."""
    it = registers()
    model = VirtioConfig("blk", it)
    function = PassedFunction(Shape(model.image(), (), 0, multifunction=False, intx=False))
    at = window(model)

    def put(offset: int, data: bytes) -> list[object]:
        deeds: list[object] = []
        for change in function.write(offset, data):
            deeds += model.write(change.offset, change.data)  # type: ignore[union-attr]
        return deeds

    def aim(offset: int, length: int) -> None:
        put(at + 4, bytes(1))
        put(at + 8, offset.to_bytes(4, "little"))
        put(at + 12, length.to_bytes(4, "little"))

    aim(COMMON + 0x12, 2)
    assert function.read(at + 16, 2, model.read) == b"\2\0"
    aim(COMMON + 0x14, 1)
    put(at + 16, b"\3")
    assert it.status == ACKNOWLEDGE | DRIVER
    started(it)
    aim(NOTIFY + 4, 2)
    assert put(at + 16, b"\1\0") == [Notify(1)]
    aim(TABLE, 4)  # MSI-X has its own way in
    assert function.read(at + 16, 4, model.read) == bytes(4)
    aim(COMMON + 0x13, 2)
    assert function.read(at + 16, 2, model.read) == bytes(2)


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(min_size=1, max_size=4)), max_size=40))
def test_whatever_is_written_to_configuration_space_ids_and_capabilities_stay(writes: list[tuple[int, bytes]]) -> None:
    model = VirtioConfig("net", registers())
    function, before = PassedFunction(Shape(model.image(), (), 0, multifunction=False, intx=False)), model.image()
    for offset, data in writes:
        for change in function.write(offset, data):
            if hasattr(change, "data"):
                model.write(change.offset, change.data)
    after = function.read(0, 256, model.read)
    assert after[:4] == before[:4]
    assert list(caps.capabilities(after)) == list(caps.capabilities(before))


@given(
    st.lists(
        st.tuples(st.booleans(), st.integers(0, 260), st.sampled_from((1, 2, 4)), st.integers(0, (1 << 32) - 1)),
        max_size=40,
    )
)
def test_all_but_the_window_is_known(accesses: list[tuple[bool, int, int, int]]) -> None:
    """C has configuration space as an image, and asks about the rest."""
    config = VirtioConfig("blk", registers())
    function = PassedFunction(Shape(config.image(), (), 0, multifunction=False, intx=False))
    asked = config.asked(function.asked())
    known = bytearray(function.read(0, 4096, config.image))
    assert sum(asked.reads) == 4
    for writes, offset, size, value in accesses:
        inside = slice(offset, offset + size)
        if writes:
            changes = function.write(offset, value.to_bytes(4, "little")[:size])
            assert any(asked.writes[inside]) or not changes
            for change in changes:
                if isinstance(change, Forward):
                    config.write(change.offset, change.data)
            known[inside] = function.read(offset, size, config.image)
        elif not any(asked.reads[inside]):
            assert function.read(offset, size, config.read) == known[inside]
    assert function.read(0, 4096, config.image) == known
