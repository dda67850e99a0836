"""What /proc says of a process, in words that a report can have."""

from __future__ import annotations

import os
import subprocess
import sys

from launcher.kernel.confine import CAP_NET_ADMIN
from launcher.plan.outcome import EngineReport, Report
from launcher.record import replace
from launcher.report.holdings import rows
from launcher.vms.holdings import Holdings, holdings
from tests.conftest import ordinary_user
from tests.name_spaces import needs_name_spaces


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


def engine(**measures: str) -> EngineReport:
    return EngineReport(("src",), "/usr/libexec/virtiofsd", 3, 0, "runs", "", measures, writes=("/srv", "/dev/null"))


CONFINED = Holdings(3, (0,) * 4, (0,) * 4, 0b1011, True, {"virtiofsd 3": 1}, {"socket": 2}, ("mnt", "user"))


def test_an_engine_is_told_with_what_its_capabilities_are_over_and_where_it_writes() -> None:
    told = dict(rows(report(engines=(engine(landlock="on"),)), {"virtiofsd of src": CONFINED}))
    assert told["engine"] == "virtiofsd of src, process 3, uid 0, gid 0"
    assert told["  capabilities"] == "CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER in its user name space"
    assert (told["  name spaces"], told["  writes to"]) == ("mnt, user of its own", "/srv, /dev/null")


def test_an_engine_with_a_sandbox_of_its_own_has_mounts_of_its_own() -> None:
    own = replace(engine(no_new_privs="on"), writes=("/",))
    told = dict(rows(report(engines=(own,)), {"virtiofsd of src": CONFINED}))
    assert told["  writes to"] == "/ of its own mount name space, as its user"
    shared = dict(rows(report(engines=(own,)), {"virtiofsd of src": CONFINED._replace(name_spaces=None)}))
    assert shared["  writes to"] == "/"


@needs_name_spaces
def test_the_name_spaces_that_a_process_has_of_its_own_are_seen() -> None:
    mine = holdings(os.getpid())
    assert mine is not None
    assert mine.name_spaces == ()
    with subprocess.Popen(["unshare", "--user", "sh", "-c", "echo; read line"], stdin=-1, stdout=-1) as apart:
        assert apart.stdout is not None
        assert apart.stdout.readline()
        its = holdings(apart.pid)
        apart.communicate(b"\n")
    assert its is not None
    assert its.name_spaces == ("user",)
