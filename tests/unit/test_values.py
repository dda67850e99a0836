"""Text that is taken for a value, and text that is not."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from launcher.values import UUID, is_uuid

ALMOST = st.from_regex(rf"\A{UUID}\Z").flatmap(
    lambda text: st.tuples(st.integers(0, len(text)), st.text("0aFg-é\n", max_size=2)).map(
        lambda change: text[: change[0]] + change[1] + text[change[0] + len(change[1]) :]
    )
)


@given(ALMOST)
def test_a_uuid_is_what_its_pattern_says_in_letters_of_either_size(text: str) -> None:
    assert is_uuid(text) == (re.fullmatch(UUID, text.lower()) is not None)
