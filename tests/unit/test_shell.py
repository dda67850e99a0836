"""A word is quoted as shlex.quote does."""

from __future__ import annotations

import shlex

from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.shell import quote
from tests.budget import runs


@settings(max_examples=runs(300), deadline=None)
@given(st.text(max_size=8) | st.text(alphabet="aZ0_@%+=:,./-'\" é$\n", max_size=8))
def test_any_word_is_quoted_as_shlex_does(word: str) -> None:
    assert quote(word) == shlex.quote(word)
