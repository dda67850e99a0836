"""The captured hosts: each is one of the table, and a plan for it names the failure that it was made for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launcher.codec import decode, encode
from launcher.host.facts import HostFacts
from launcher.images.boot_files import BootFiles
from tests.catalogue.table import ROWS
from tests.lab.capture import FOLDER, path_of, steady
from tests.lab.failures import CASES, Case
from tests.lab.hosts import HOSTS, TABLE, Host
from tests.planning import KERNEL, codes, host, plan


@pytest.mark.parametrize("path", sorted(FOLDER.glob("lab-*.json")), ids=lambda path: path.stem)
def test_a_captured_host_is_one_of_the_table_and_says_so(path: Path) -> None:
    name = path.stem.removeprefix("lab-")
    facts = decode(HostFacts, json.loads(path.read_text()))
    assert facts.name == path.stem
    assert f"./dev lab capture {name}`: {HOSTS[name].about}; Linux {facts.kernel}" in facts.note
    assert decode(HostFacts, encode(facts)) == facts


@pytest.mark.parametrize("one", TABLE, ids=lambda one: one.name)
def test_every_host_of_the_table_was_captured(one: Host) -> None:
    assert path_of(one).exists()


@pytest.mark.parametrize("case", [one for one in CASES if one.stands], ids=lambda case: f"{case.host}-{case.id}")
def test_a_plan_for_the_captured_host_names_its_failure(case: Case) -> None:
    assert case.codes & set(codes(plan(case.spec, host(f"lab-{case.host}"), BootFiles(KERNEL))))


def test_the_catalogue_says_of_each_failure_where_it_was_seen() -> None:
    recorded = {(row.id, row.captured) for row in ROWS if row.captured}
    made = {(row.id, row.made_in) for row in ROWS if row.made_in}
    assert recorded == {(one.id, one.host) for one in CASES if one.stands}
    assert made == {(one.id, one.host) for one in CASES if not one.stands}


def test_what_moves_by_itself_is_coarse_in_a_capture() -> None:
    facts = {
        "memory": {"total": (5 << 30) + 1, "available": (3 << 30) + 1, "commit_limit": (2 << 30) + 1, "committed": 1},
        "nodes": [{"id": 0, "memory": (5 << 30) + 1, "free": (1 << 30) - 1}],
        "linux": {"vectors": 33},
        "recorded_at": "2026-11-29T20:24:07+00:00",
        "boot_id": "5e1b2cc4",
    }
    assert steady(facts) == {
        "memory": {"total": 5 << 30, "available": 3 << 30, "commit_limit": 2 << 30, "committed": 1 << 29},
        "nodes": [{"id": 0, "memory": 5 << 30, "free": 1 << 29}],
        "linux": {"vectors": 64},
        "recorded_at": None,
        "boot_id": None,
    }
