"""A virtio function before its driver runs: features that are offered, its BAR, its configuration space."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.machine import capabilities as caps
from launcher.machine.function import PassedFunction
from launcher.machine.policy import Shape
from launcher.machine.virtio import BAR_SIZE, COMMON, KINDS, NOTIFY, TABLE, VERSION_1, Ring, offerable, pieces
from launcher.machine.virtio_config import VirtioConfig, config_space
from launcher.plan.changes import Forward
from launcher.values import Span


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


def test_configuration_space_has_a_window_to_the_registers() -> None:
    """For firmware, which reaches no memory there; through the model of any function, as the guest does."""
    model = VirtioConfig("blk", 3)
    function = PassedFunction(Shape(model.image(), (), 0, multifunction=False, intx=False))
    at = window(model)

    def aim(bar: int, offset: int, length: int) -> None:
        for place, data in ((4, bytes((bar,))), (8, offset.to_bytes(4, "little")), (12, length.to_bytes(4, "little"))):
            for change in function.write(at + place, data):
                model.write(change.offset, change.data)  # type: ignore[union-attr]

    for offset, length in ((COMMON + 0x12, 2), (COMMON + 0x14, 1), (NOTIFY + 4, 2), (TABLE - 4, 4)):
        aim(0, offset, length)
        assert model.through(at + 16, length) == offset
        assert model.through(at + 16, 8) is None
        assert model.through(at + 12, length) is None
    # MSI-X has its own way in; what is not at a multiple of its size is no register.
    for bar, offset, length in (
        (0, TABLE, 4),
        (0, COMMON + 0x13, 2),
        (1, COMMON, 4),
        (0, COMMON, 3),
        (0, TABLE - 2, 4),
    ):
        aim(bar, offset, length)
        assert model.through(at + 16, length) is None


@given(st.lists(st.tuples(st.integers(0, 255), st.binary(min_size=1, max_size=4)), max_size=40))
def test_whatever_is_written_to_configuration_space_ids_and_capabilities_stay(writes: list[tuple[int, bytes]]) -> None:
    model = VirtioConfig("net", 3)
    function, before = PassedFunction(Shape(model.image(), (), 0, multifunction=False, intx=False)), model.image()
    for offset, data in writes:
        for change in function.write(offset, data):
            if hasattr(change, "data"):
                model.write(change.offset, change.data)
    after = function.read(0, 256, model.image)
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
    config = VirtioConfig("blk", 3)
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
            assert config.through(offset, size) is None
            assert function.read(offset, size, config.image) == known[inside]
    assert function.read(0, 4096, config.image) == known
