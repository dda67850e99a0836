"""The process that sets virtual functions back: what it does when, what it holds, what is left to who takes it over.

It asks this kernel, in a name space of networks of its own, of an interface that has no virtual functions: what needs
the capability is EPERM without it, and else EOPNOTSUPP. What it sets is in memory that it shares with the test.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from typing import Any

import pytest

from launcher.kernel.confine import CAP_NET_ADMIN, MEASURES, OF_STANDBYS, ON
from tests.conftest import PATIENCE, ROOT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="it takes CAP_NET_ADMIN")

# A runner that ends when it is told to; a link that keeps what is set in shared memory.
SCRIPT = """
import ctypes, errno, json, mmap, os, signal, socket, sys
from launcher.kernel.api import VfChange, VfPlace
from launcher.kernel.confine import take_user
from launcher.kernel.rtnetlink import Rtnetlink, VirtualFunction
from launcher.kernel.standby import Standby
from launcher.kernel.virtual_functions import VirtualFunctions
from launcher.kernel.waiting import wait_for
from launcher.values import PciAddress, VfSettings
from launcher.vms.holdings import holdings

assert ctypes.CDLL(None).unshare(0x40000000) == 0  # CLONE_NEWNET
NIC, CARD = PciAddress.parse("0000:3b:01.0"), PciAddress.parse("0000:3b:00.0")
MACS = ("52:54:00:00:00:01", "52:54:00:00:00:02")
page = mmap.mmap(-1, 4096)  # shared

def macs():
    return [page[6 * n : 6 * n + 6].hex(":") for n in (0, 1)]

class Link(Rtnetlink):
    def functions(self, index):
        return tuple(VirtualFunction(number, VfSettings(mac)) for number, mac in enumerate(macs()))

    def set(self, index, number, settings):
        INSIDE
        page[6 * number : 6 * number + 6] = bytes.fromhex(settings.mac.replace(":", ""))

class Functions(VirtualFunctions):
    def interface(self, place, link):
        return 1

def change(number):
    return VfChange(VfPlace(NIC, CARD, number), VfSettings(MACS[number]), VfSettings("02:00:00:00:00:0" + str(number)))

for number in (0, 1):
    page[6 * number : 6 * number + 6] = bytes.fromhex(MACS[number].replace(":", ""))
hold, let_go = os.pipe()
take_user()
runner = os.fork()
if runner == 0:
    os.close(let_go)
    os.read(hold, 1)
    os._exit(0)
pidfd = os.pidfd_open(runner)
standby = Standby([change(0), change(1)], pidfd, Functions(connect=Link), wait_for)

def tried(deed):
    try:
        return deed()
    except OSError as error:
        return error.errno

def the_runner_ends():
    os.close(let_go)
    os.waitpid(runner, 0)

found = {"measures": standby.measures, "held": holdings(standby.pid)._asdict(), "pid": os.getpid()}
DEED
os.write(1, json.dumps(found).encode())
os._exit(0)
"""


def lived(deed: str, inside: str = "pass") -> dict[str, Any]:
    """`deed` fills `found`; `inside` is what the standby does where it would set something."""
    script = SCRIPT.replace("INSIDE", inside).replace("DEED", deed)
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_it_keeps_one_capability_two_sockets_and_no_file() -> None:
    found = lived("")
    assert tuple(found["measures"]) == MEASURES
    assert {found["measures"][name] for name in MEASURES if name != "landlock"} == {ON}
    assert found["held"]["capabilities"] == 1 << CAP_NET_ADMIN
    assert found["held"]["no_new_privs"]
    assert found["held"]["uids"] == [OF_STANDBYS + found["pid"]] * 4
    files = found["held"]["files"]
    assert (files.pop("pidfd"), files.pop("socket")) == (1, 2)
    assert files.keys() <= {"/dev/null", "pipe"}  # the standard streams


def test_it_sets_back_what_was_promised_when_the_runner_has_gone_and_ends() -> None:
    deed = "the_runner_ends(); found['left'] = [standby.change(change(1)), standby.change(change(0))]; "
    deed += "found['macs'] = macs(); found['status'] = os.waitpid(standby.pid, 0)[1]"
    found = lived(deed)
    assert found["left"] == [[], []]
    assert found["macs"] == ["02:00:00:00:00:00", "02:00:00:00:00:01"]
    assert found["status"] == 0


def test_what_somebody_else_has_set_is_left_and_told() -> None:
    deed = "the_runner_ends(); page[0:6] = b'\\x02\\0\\0\\0\\0\\x07'; "
    found = lived(deed + "found['left'] = standby.change(change(0)); found['macs'] = macs()")
    assert found["left"] == ["mac"]
    assert found["macs"][0] == "02:00:00:00:00:07"


def test_it_does_nothing_while_the_runner_lives() -> None:
    found = lived("found['told'] = tried(lambda: standby.change(change(0))); found['macs'] = macs()")
    assert found["told"] == errno.EPIPE
    assert found["macs"] == ["52:54:00:00:00:01", "52:54:00:00:00:02"]


@pytest.mark.parametrize("said", ["b'\\x02'", "b'\\xff'", "b'\\0\\0\\0'"])
def test_it_ends_at_a_word_that_is_none(said: str) -> None:
    """Of more than one byte it hears the first; a number that was not promised is none."""
    deed = f"the_runner_ends(); standby._socket.send({said}); found['status'] = os.waitpid(standby.pid, 0)[1]; "
    deed += "found['macs'] = macs()"
    if "\\0" in said:
        deed = deed.replace("found['status']", "standby._socket.close(); found['status']")
    assert lived(deed)["macs"][1] == "52:54:00:00:00:02"


def test_it_does_each_once() -> None:
    deed = "the_runner_ends(); standby.change(change(0)); page[0:6] = bytes.fromhex(MACS[0].replace(':', '')); "
    found = lived(deed + "found['told'] = tried(lambda: standby.change(change(0))); found['macs'] = macs()")
    assert found["told"] == errno.EPIPE
    assert found["macs"][0] == "52:54:00:00:00:01"


def test_nobody_asks_for_what_was_not_promised() -> None:
    deed = "other = change(0)._replace(becomes=VfSettings('52:54:00:00:00:09')); the_runner_ends(); "
    assert lived(deed + "found['told'] = tried(lambda: standby.change(other))")["told"] == errno.EPERM


def test_it_ends_with_its_keeper_and_leaves_all_to_down() -> None:
    deed = "the_runner_ends(); standby._socket.close(); found['status'] = os.waitpid(standby.pid, 0)[1]; "
    found = lived(deed + "found['macs'] = macs()")
    assert found["status"] == 0
    assert found["macs"] == ["52:54:00:00:00:01", "52:54:00:00:00:02"]


def test_the_kernel_lets_it_change_interfaces_and_refuses_its_keeper_then() -> None:
    """EOPNOTSUPP: `lo` has no virtual functions, and whoever has not the capability is not even told that."""
    deed = "the_runner_ends(); link = Rtnetlink(); found['told'] = tried(lambda: standby.change(change(0)))"
    assert lived(deed, "Rtnetlink.set(self, 1, 0, settings)")["told"] == errno.EOPNOTSUPP
    without = "from launcher.native import lib; lib.confine_capabilities(0, 0); link = Rtnetlink(); "
    without += "found['told'] = tried(lambda: link.__class__.set(link, 1, 0, VfSettings(MACS[0])))"
    assert lived(without)["told"] == errno.EPERM


OUTSIDE = {
    "a file": "open('/etc/hostname')",
    "a program": "os.execv('/bin/true', ['true'])",
    "another process": "os.fork()",
    "a socket": "socket.socket()",
    "a signal": "os.kill(os.getppid(), 9)",
    "another user": "os.setuid(0)",
    "code in memory": "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
}


@pytest.mark.parametrize("deed", OUTSIDE)
def test_who_takes_it_over_gets_nothing_else(deed: str) -> None:
    """It is killed, or refused what Python tries by itself; nothing is set."""
    found = lived("the_runner_ends(); found['told'] = tried(lambda: standby.change(change(0)))", OUTSIDE[deed])
    assert found["told"] in (errno.EPIPE, errno.EACCES, errno.ECONNRESET)
