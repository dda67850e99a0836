"""Taps and bridges of the real kernel, in name spaces of the test's own: nothing of this host changes."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PREAMBLE = """
import json, os, subprocess, sys
from launcher.kernel import tap
def ip(*words): return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
def link(name): return json.loads(ip("-d", "-j", "link", "show", name))[0]
def refused(call, *words):
    try:
        os.close(call(*words))
    except OSError as error:
        return [error.errno, error.filename]
ip("link", "add", "br0", "type", "bridge")
"""


def _may() -> bool:
    return os.path.exists("/dev/net/tun") and subprocess.run(
        ["unshare", "-rn", "ip", "link", "add", "br0", "type", "bridge"], capture_output=True, check=False
    ).returncode == 0  # fmt: skip


pytestmark = pytest.mark.skipif(
    not _may(), reason="no name space of networks with /dev/net/tun and bridges is to be had"
)


def within(*lines: str) -> object:
    """What the last line prints, as JSON, in a name space of its own."""
    words = ["unshare", "-rn", sys.executable, "-c", PREAMBLE + "\n".join(lines)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_tap_is_made_in_its_bridge_and_goes_with_its_descriptor() -> None:
    link, addresses, there = within(  # type: ignore[misc]
        'fd = tap.make("vml-1234567890a", "br0", 9000)',
        'found = link("vml-1234567890a")',
        'assert tap.is_there("vml-1234567890a")',
        'addresses = json.loads(ip("-j", "addr", "show", "vml-1234567890a"))[0]["addr_info"]',
        "os.close(fd)",
        'print(json.dumps([found, addresses, tap.is_there("vml-1234567890a")]))',
    )
    assert (link["mtu"], link["master"], addresses, there) == (9000, "br0", [], False)
    assert "UP" in link["flags"]
    info = link["linkinfo"]
    assert (info["info_kind"], info["info_data"]["type"]) == ("tun", "tap")
    assert (info["info_data"]["pi"], info["info_data"]["vnet_hdr"], info["info_data"]["persist"]) == (
        False,
        True,
        False,
    )
    assert link["inet6_addr_gen_mode"] == "none"


def test_a_bridge_keeps_the_address_that_it_has_of_a_card() -> None:
    """It takes the lowest of its ports', unless somebody has set one: its leases and its neighbours know it by that."""
    before, now, after, of_tap = within(  # type: ignore[misc]
        'ip("link", "add", "card", "address", "fc:00:00:00:00:01", "type", "veth", "peer", "name", "far")',
        'ip("link", "set", "card", "master", "br0", "up")',
        'found = [link("br0")["address"]]',
        'fd = tap.make("vml-1", "br0", 1500)',
        'found.append(link("br0")["address"])',
        'of_tap = link("vml-1")["address"]',
        "os.close(fd)",
        'print(json.dumps([*found, link("br0")["address"], of_tap]))',
    )
    assert before == now == after == "fc:00:00:00:00:01"
    assert of_tap.startswith("fe:")


def test_a_tap_goes_with_the_process_that_is_killed() -> None:
    there = within(
        "child = os.fork()",
        "import signal",
        "if child == 0:",
        '    tap.make("vml-k", "br0", 1500)',
        '    os.kill(os.getpid(), signal.SIGKILL if tap.is_there("vml-k") else signal.SIGTERM)',
        "status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])",
        'print(json.dumps([status, tap.is_there("vml-k")]))',
    )
    assert there == [-9, False]


def test_what_is_in_the_way_of_a_tap_has_its_errno() -> None:
    import errno

    found = within(
        'ip("tuntap", "add", "taken", "mode", "tap")',
        "print(json.dumps([",
        '  refused(tap.make, "taken", "br0", 1500), refused(tap.make, "br0", "br0", 1500),',
        '  refused(tap.make, "vml-1", "none", 1500), refused(tap.make, "vml-2", "lo", 1500),',
        '  refused(tap.make, "much-longer-than-15", "br0", 1500), refused(tap.make, "vml-3", "br0", 7),',
        "  [one for one in os.listdir('/sys/class/net') if one.startswith('vml')]]))",
    )
    assert found == [
        [errno.EBUSY, "TUNSETIFF"],
        [errno.EBUSY, "TUNSETIFF"],
        [errno.ENODEV, "none"],
        [errno.EOPNOTSUPP, "RTM_SETLINK"],
        [errno.EINVAL, "TUNSETIFF"],
        [errno.EINVAL, "RTM_SETLINK"],
        [],
    ]


def test_a_tap_that_is_there_is_opened_and_stays() -> None:
    import errno

    found = within(
        'ip("tuntap", "add", "mine", "mode", "tap", "vnet_hdr")',
        'ip("tuntap", "add", "many", "mode", "tap", "multi_queue", "vnet_hdr")',
        'first = tap.attach("mine")',
        'print(json.dumps([refused(tap.attach, "mine"), refused(tap.attach, "many"), refused(tap.attach, "none"),',
        '  refused(tap.attach, "lo"), os.close(first), tap.is_there("mine")]))',
    )
    many = [errno.EINVAL, "TUNSETIFF"]
    assert found == [[errno.EBUSY, "TUNSETIFF"], many, [errno.ENODEV, "none"], [errno.EINVAL, "TUNSETIFF"], None, True]
