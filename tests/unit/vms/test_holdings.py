"""What /proc says of a process, in words that a report can have."""

from __future__ import annotations

import os
import subprocess
import sys

from launcher.plan.outcome import Report
from launcher.report.holdings import CAP_NET_ADMIN, rows
from launcher.vms.holdings import Holdings, holdings
from tests.conftest import ordinary_user


def report(**more: object) -> Report:
    return Report(format_version="1.0", name="vm", phase="running", pid=1, started=None, seconds=None, **more)  # type: ignore[arg-type]


def test_a_process_is_seen_with_its_descriptors_by_what_they_are_of() -> None:
    first, second = os.eventfd(0), os.eventfd(0)
    try:
        held = holdings(os.getpid())
    finally:
        os.close(first)
        os.close(second)
    assert held is not None
    assert held.uids[1] == os.geteuid()
    assert held.files is not None
    assert held.files["eventfd"] >= 2
    assert next(iter(held.filters)).endswith(f" {os.getpid()}")


def test_one_that_has_gone_holds_nothing() -> None:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    assert holdings(done.pid) is None
    assert list(rows(report(), {"keeper": None, "runner": None})) == []


def test_who_may_not_look_is_told_so() -> None:
    if os.geteuid() != 0:
        found = holdings(1)
        assert found is not None
        assert found.files is None
        return
    script = "from launcher.vms.holdings import holdings; print(holdings(1).files)"
    words = [*ordinary_user(), sys.executable, "-c", script]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "None\n"


def test_what_was_not_given_up_stands_out() -> None:
    bare = Holdings(2, (0, 0, 0, 0), (0, 0, 0, 0), 0x1FF, False, {"vmlaunch 2": 0}, None)
    told = dict(rows(report(confinement={"landlock": "Function not implemented"}), {"keeper": None, "runner": bare}))
    assert told["runner"] == "process 2, uid 0, gid 0"
    assert told["  gave up"] == "by nothing; without landlock (Function not implemented)"
    assert told["  capabilities"].startswith("0x1ff")
    assert (told["  writes to"], told["  open"]) == ("/", "only root may look")


def test_who_may_still_change_interfaces_is_named_with_what_it_may() -> None:
    held = holdings(os.getpid())
    assert held is not None
    one = held._replace(capabilities=1 << CAP_NET_ADMIN, no_new_privs=True)
    told = dict(rows(report(standby_confinement={"landlock": "on"}), {"standby": one}))
    assert told["standby"].startswith(f"process {os.getpid()}, ")
    assert (told["  capabilities"], told["  writes to"]) == ("CAP_NET_ADMIN", "nothing by name")
