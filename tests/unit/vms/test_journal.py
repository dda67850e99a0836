"""The undo journal: on disk before the deed, readable after any death."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from launcher.vms.folder import StateFolder
from launcher.vms.folder_state import JOURNAL
from launcher.vms.journal import Entry, Journal, pending
from tests.budget import runs


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[StateFolder]:
    claimed = StateFolder.claim(tmp_path / "vm")
    yield claimed
    claimed.close()


@pytest.fixture
def path(folder: StateFolder) -> Path:
    return Path(folder.path) / JOURNAL


def test_what_was_not_undone_is_pending_last_deed_first(folder: StateFolder, path: Path) -> None:
    journal = Journal(folder)
    for n in (1, 2, 3):
        journal.before(n, "bind-driver", {"driver": f"d{n}"})
    journal.undone(2)
    journal.close()
    assert pending(path) == [
        Entry(3, "bind-driver", {"driver": "d3"}),
        Entry(1, "bind-driver", {"driver": "d1"}),
    ]


def test_a_line_is_on_disk_when_the_call_returns(folder: StateFolder, path: Path) -> None:
    journal = Journal(folder)
    journal.before(1, "keep-state", {})
    assert [json.loads(line) for line in path.read_text().splitlines()][1:] == [
        {"n": 1, "op": "keep-state", "undo": {}}
    ]
    journal.close()


def test_a_journal_that_is_opened_again_goes_on(folder: StateFolder, path: Path) -> None:
    for n in (1, 2):
        journal = Journal(folder)
        journal.before(n, "keep-state", {})
        journal.close()
    assert [entry.n for entry in pending(path)] == [2, 1]
    assert path.read_text().count('"journal"') == 1


def test_a_line_for_which_there_is_no_room_is_not_in_it(folder: StateFolder, path: Path) -> None:
    journal = Journal(folder)
    journal.before(1, "keep-state", {})
    before, limits = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 10, limits[1]))
    try:
        with pytest.raises(OSError, match=r"No space left|File too large"):
            journal.before(2, "bind-driver", {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    journal.before(3, "bind-driver", {})
    assert [entry.n for entry in pending(path)] == [3, 1]


def test_no_journal_means_nothing_to_undo(path: Path) -> None:
    assert pending(path) == []


@pytest.mark.parametrize("cut", range(1, 40, 3))
def test_a_torn_last_line_is_passed_over(folder: StateFolder, path: Path, cut: int) -> None:
    journal = Journal(folder)
    journal.before(1, "keep-state", {"folder": "/run/x"})
    journal.before(2, "bind-driver", {"driver": "nvme"})
    journal.close()
    path.write_bytes(path.read_bytes()[:-cut])
    assert [entry.n for entry in pending(path)] in ([1], [2, 1])


def test_a_journal_opened_behind_a_torn_line_loses_nothing_more(folder: StateFolder, path: Path) -> None:
    path.write_bytes(b'{"journal": 1}\n{"n": 1, "op": "a", "undo": {}}\n{"n": 2, "op"')
    journal = Journal(folder)
    journal.before(3, "c", {})
    journal.close()
    assert [entry.n for entry in pending(path)] == [3, 1]


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["n", "op", "undo", "undone"]), inner),
    max_leaves=8,
)


@settings(max_examples=runs(100), deadline=None)
@given(st.lists(JSON, max_size=4))
def test_any_json_can_be_read(tmp_path_factory: pytest.TempPathFactory, lines: list[object]) -> None:
    path = tmp_path_factory.mktemp("journal") / "undo.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert all(isinstance(entry.undo, dict) for entry in pending(path))
