"""schemas/ and docs/ as they are committed are what the models and codes make."""

from __future__ import annotations

import pytest

from tests.generate import ROOT, generated

MADE = generated()


@pytest.mark.parametrize("path", MADE)
def test_committed_file_is_what_would_be_made(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == MADE[path], "run `python -m tests.generate`"
