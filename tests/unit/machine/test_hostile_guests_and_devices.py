"""What holds for any configuration space, however broken, and for any guest, however hostile."""

from __future__ import annotations

import os
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from launcher.machine import capabilities as caps
from launcher.machine.function import ROM, PassedFunction
from launcher.machine.pci import CONFIG_SIZE
from launcher.machine.policy import HIDDEN_EXTENDED, VISIBLE, Shape
from launcher.plan.changes import Change, Forward, HideBar, Interrupt, ShowBar
from launcher.plan.steps import BarPlace
from tests.unit.machine.devices import ALL, Guest

LONG = 20 if os.environ.get("VMLAUNCH_LONG") else 1
many = settings(max_examples=200 * LONG, deadline=None, suppress_health_check=list(HealthCheck))

KINDS = [*VISIBLE, 0x02, 0x07, 0x08, 0x0D, 0x12, 0x14, 0x00, 0xFF]
EXTENDED_KINDS = [*HIDDEN_EXTENDED, 0x01, 0x02, 0x03, 0x0B, 0x0D, 0x18, 0x1E, 0x23, 0xFFFF, 0x00]


@st.composite
def images(draw: st.DrawFn) -> bytes:
    """Noise, zeros or ones, with lists in it that may be whole, overlap, leave it or turn back."""
    size = draw(st.one_of(st.sampled_from([64, 256, 4096]), st.integers(16, 1024).map(lambda dwords: 4 * dwords)))
    fill = draw(st.sampled_from([b"\0", b"\xff", None]))
    image = bytearray(draw(st.randoms(use_true_random=False)).randbytes(size) if fill is None else fill * size)
    image[0x06] |= draw(st.sampled_from([0x10, 0x10, 0]))
    places = draw(st.lists(st.integers(0x40, 0xFF), max_size=8))
    image[0x34] = places[0] if places else image[0x34]
    for place, after in pairwise([*places, draw(st.integers(0, 0xFF))]):
        put(image, place, bytes([draw(st.sampled_from(KINDS)), after, *draw(st.binary(min_size=2, max_size=2))]))
    further = [0x100, *draw(st.lists(st.integers(0x40, 0x3FF).map(lambda n: 4 * n), max_size=6))]
    for place, after in pairwise([*further, draw(st.integers(0, 0xFFF))]):
        kind = draw(st.sampled_from(EXTENDED_KINDS))
        put(image, place, (kind | 1 << 16 | after << 20).to_bytes(4, "little"))
    return bytes(image)


def put(image: bytearray, place: int, data: bytes) -> None:
    """As much as is inside."""
    inside = data[: max(len(image) - place, 0)]
    image[place : place + len(inside)] = inside


@st.composite
def shapes(draw: st.DrawFn) -> Shape:
    if draw(st.integers(0, 3)) == 0:
        return draw(st.sampled_from(list(ALL.values())))
    bars, index = [], 0
    while index < 6:
        kind = draw(st.sampled_from(["io", "mem32", "mem64", None] if index < 5 else ["io", "mem32", None]))
        if kind is not None:
            size = 1 << draw(st.integers(2, 8) if kind == "io" else st.integers(4, 31))
            bars.append(
                BarPlace(index, kind, draw(st.booleans()), size, draw(st.sampled_from([None, 0x1_0000])), "mmap")
            )
        index += 2 if kind == "mem64" else 1
    rom = draw(st.sampled_from([0, 2048, 100_000]))
    return Shape(draw(images()), tuple(bars), rom, draw(st.booleans()), draw(st.booleans()))


@st.composite
def accesses(draw: st.DrawFn) -> tuple[int, int]:
    """Offset and size; often where something is, often over an edge."""
    offset = draw(st.one_of(st.integers(0, 0xFF), st.integers(0, 0xFFF), st.sampled_from([0x04, 0x10, 0x30, 0xFC])))
    return offset, draw(st.sampled_from([1, 2, 4, 8]))


values = st.one_of(st.just(0), st.just((1 << 64) - 1), st.integers(0, (1 << 64) - 1))
operations = st.lists(
    st.tuples(st.sampled_from(["read", "write", "write", "table"]), accesses(), values), min_size=1, max_size=25
)


def perform(guest: Guest, operation: tuple[str, tuple[int, int], int]) -> tuple[Change, ...]:
    what, (offset, size), value = operation
    cut = value & (1 << 8 * size) - 1
    if what == "read":
        guest.read(offset, size)
        return ()
    if what == "table":
        return guest.function.write_table(offset, cut.to_bytes(size, "little"))
    return guest.write(offset, cut, size)


@many
@given(shapes(), operations)
def test_no_access_raises_and_the_device_hears_only_what_the_guest_wrote_there(shape: Shape, many: list) -> None:
    guest = Guest(shape)
    for operation in many:
        what, (offset, size), value = operation
        data = value.to_bytes(8, "little")
        for one in perform(guest, operation):
            if isinstance(one, Forward):
                assert what == "write"
                start = one.offset - offset
                assert 0 <= start < size
                assert one.data == data[start : start + len(one.data)] != b""
                assert one.offset + len(one.data) <= min(offset + size, len(shape.config))


@many
@given(shapes(), operations)
def test_a_byte_that_is_read_from_us_is_never_written_to_the_device(shape: Shape, many: list) -> None:
    guest = Guest(shape)
    ours = set()
    for offset in range(len(shape.config)):
        guest.asked.clear()
        guest.read(offset, 1)
        if not guest.asked:
            ours.add(offset)
    always = {0x00, 0x01, 0x02, 0x03, 0x0E, 0x0F, *range(0x10, 0x28), *range(0x30, 0x3E)}
    assert always <= ours
    for operation in many:
        for one in perform(guest, operation):
            if isinstance(one, Forward):
                assert ours.isdisjoint(range(one.offset, one.offset + len(one.data)))
                assert one.offset != 0x06


@many
@given(shapes(), operations)
def test_bars_go_before_and_come_after_what_the_device_hears_and_never_twice(shape: Shape, many: list) -> None:
    guest, shown = Guest(shape), dict[int, int]()
    order = {HideBar: 0, Forward: 1, ShowBar: 2, Interrupt: 3}
    for operation in many:
        changes = perform(guest, operation)
        steps = [order[type(one)] for one in changes]
        assert steps == sorted(steps)
        for one in changes:
            if isinstance(one, HideBar):
                del shown[one.index]
            elif isinstance(one, ShowBar):
                assert one.index not in shown
                assert one.index in {ROM, *(bar.index for bar in shape.bars)}
                shown[one.index] = one.guest
        for index, place in shown.items():
            assert place == register_of(guest, shape, index)


def register_of(guest: Guest, shape: Shape, index: int) -> int:
    """What the guest reads from the BAR that it is told is there."""
    if index == ROM:
        return guest.read(0x30) & 0xFFFFF800
    bar = next(one for one in shape.bars if one.index == index)
    return guest.read(0x10 + 4 * index, 8 if bar.kind == "mem64" else 4) & ~(3 if bar.kind == "io" else 15)


@many
@given(shapes(), operations)
def test_a_function_never_has_more_vectors_than_its_capabilities_say(shape: Shape, many: list) -> None:
    guest = Guest(shape)
    most = {"none": 0, "intx": 0, "msi": 32, "msix": guest.function.table.vectors}
    for operation in many:
        perform(guest, operation)
        now = guest.function.interrupt
        assert len(now.vectors) <= most[now.kind]
        assert (now.kind in ("msi", "msix")) == bool(now.vectors)


@many
@given(shapes(), operations)
def test_what_a_guest_is_told_of_its_lists_is_whole_and_stays(shape: Shape, many: list) -> None:
    guest = Guest(shape)
    if len(shape.config) < 256:
        return
    before = guest.capabilities()
    assert all(kind in VISIBLE for kind, _ in before)
    assert len(set(before)) == len(before) < 48
    assert all(kind not in HIDDEN_EXTENDED for kind, _ in guest.extended())
    for operation in many:
        perform(guest, operation)
    assert guest.capabilities() == before


@many
@given(images())
def test_any_walk_of_capabilities_ends_and_stays_inside(image: bytes) -> None:
    found, further = list(caps.capabilities(image)), list(caps.extended(image))
    assert len({one.offset for one in found}) == len(found) <= 48
    assert len({one.offset for one in further}) == len(further)
    assert all(0x40 <= one.offset < len(image) for one in found)
    assert all(0x100 <= one.offset <= len(image) - 4 for one in further)


@many
@given(shapes(), st.binary(max_size=16), accesses())
def test_a_device_may_answer_with_as_many_bytes_as_it_likes(shape: Shape, answer: bytes, access: tuple) -> None:
    offset, size = access
    assert len(PassedFunction(shape).read(offset, size, lambda *_: answer)) == size


@many
@given(shapes(), operations)
def test_what_is_not_asked_about_is_known_and_written_in_vain(
    shape: Shape, does: list[tuple[str, tuple[int, int], int]]
) -> None:
    """Else C, which has it as an image, would answer otherwise than this model."""
    function = PassedFunction(shape)
    asked, known = function.asked(), bytearray(everything(function))
    for what, (offset, size), value in does:
        inside = slice(offset, min(offset + size, CONFIG_SIZE))
        if what == "write":
            changes = function.write(offset, value.to_bytes(8, "little")[:size])
            assert any(asked.writes[inside]) or (changes == () and everything(function) == known)
            known[inside] = everything(function)[inside]
        elif not any(asked.reads[inside]):
            assert function.read(offset, size, never_asked) == known[inside].ljust(size, b"\xff")
    assert everything(function) == known


def everything(function: PassedFunction) -> bytes:
    """Of a device all of whose bits are 0."""
    return function.read(0, CONFIG_SIZE, lambda _, size: bytes(size))


def never_asked(offset: int, size: int) -> bytes:
    raise AssertionError(f"{size} bytes at {offset:#x} are the device's")
