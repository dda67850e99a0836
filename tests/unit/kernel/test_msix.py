"""The bytes of an MSI-X table that C has: the same as any, and nothing follows from the writes that nobody hears of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launcher.kernel.msix import MsixEntries
from launcher.machine.msix import ENTRY, MOST_VECTORS, MsixTable
from launcher.native import lib

VECTORS = 4
WRITES = st.tuples(
    st.one_of(st.sampled_from([12, 28, 44, 0, 16, 4, 8]), st.integers(0, ENTRY * VECTORS + 8)),
    st.sampled_from([4, 4, 4, 1, 2, 8]),
    st.one_of(st.integers(0, 1), st.integers(0, 2**64 - 1)),
)


@given(st.lists(WRITES, max_size=40))
def test_a_table_that_hears_of_few_writes_says_what_one_says_that_hears_of_all(
    writes: list[tuple[int, int, int]],
) -> None:
    plain, entries = MsixTable(VECTORS), MsixEntries(VECTORS)
    table = MsixTable(VECTORS, lambda _: entries)
    for offset, size, value in writes:
        data = (value & (1 << 8 * size) - 1).to_bytes(size, "little")
        changed = plain.write(offset, data)
        if lib.msix_write(entries.pointer, offset, size, int.from_bytes(data, "little"), False):
            assert table.write(offset, data) == changed
        else:
            assert not changed
        assert table.messages == plain.messages
        assert [table.read(at, 8) for at in range(0, 72, 4)] == [plain.read(at, 8) for at in range(0, 72, 4)]


def test_a_driver_s_way_to_a_vector_is_heard_of_twice() -> None:
    """Linux masks all, gives an address that is a place-holder, then the true one, and lifts the mask."""
    entries = MsixEntries(VECTORS)

    def asks(offset: int, value: int) -> bool:
        return bool(lib.msix_write(entries.pointer, offset, 4, value, False))

    assert not any(asks(ENTRY * n + 12, 1) for n in range(VECTORS))
    assert asks(0, 0xFEE0_0000)
    entries.write(0, (0xFEE0_0000).to_bytes(4, "little"))
    assert not any(asks(offset, value) for offset, value in ((4, 0), (8, 0x40), (0, 0xFEE0_1000), (4, 0), (8, 0x41)))
    assert asks(12, 0)
    assert asks(8, 0x42) is False  # it was asked about, and nobody has done it


def test_more_vectors_than_there_can_be_are_refused() -> None:
    assert MsixEntries(MOST_VECTORS).read(ENTRY * MOST_VECTORS - 4, 8) == b"\1" + bytes(7)
    assert MsixEntries(0).read(0, 8) == bytes(8)
    with pytest.raises(ValueError, match="2049 vectors"):
        MsixEntries(MOST_VECTORS + 1)
