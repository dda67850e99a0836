"""SHA-256 of what is small and of what is large; and of any, when nothing can be imported any more."""

from __future__ import annotations

import hashlib

import pytest

from launcher import digests
from launcher.digests import SMALL, hasher, sha256


@pytest.mark.parametrize("size", [0, 3, SMALL, SMALL + 1])
def test_each_is_what_hashlib_says(size: int) -> None:
    data = bytes(range(251)) * (size // 251 + 1)
    assert sha256(data[:size]) == hashlib.sha256(data[:size]).hexdigest()


@pytest.mark.parametrize("first", [3, SMALL + 1])
def test_who_is_shut_in_imports_nothing(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file may have grown while its guest ran, which is to be told, and not to be the runner's end."""
    monkeypatch.setattr(digests, "_makers", {})
    hasher(first)
    monkeypatch.setattr(digests, "import_module", None)
    for size in (3, SMALL + 1):
        found = hasher(size, shut_in=True)
        found.update(b"abc")
        assert found.hexdigest() == hashlib.sha256(b"abc").hexdigest()
