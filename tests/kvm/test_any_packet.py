"""Anything on the control socket of a VM that is up: it lives, answers, and its keeper holds no more than before."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.budget import runs
from tests.conftest import Cli, comes_true
from tests.mutations import ODD

pytestmark = pytest.mark.kvm
VISITORS = 400  # on each commit
ORDERS = ("leave", "watch", "type", "report", "signal", "begin", "tell", "power", "", None, 7, [], {})
KEYS = ("do", "name", "all", "on", "number", "timeout", "force", "by", "outcome", "report", "end", "failed", "bug")
DEADLY = (1, 2, 15)  # signals that stop a VM, which is what they are for
SIZES = (0, 1, 2, 100, 4096, 1 << 16, (1 << 17) - 1, 1 << 17, (1 << 17) + 1)


def a_message(chance: random.Random) -> bytes:
    values = [one for one in ODD if one not in DEADLY]
    found: dict[str, Any] = {key: chance.choice(values) for key in chance.sample(KEYS, chance.randint(0, 4))}
    found["do"] = chance.choice(ORDERS)
    return b"j" + json.dumps(found).encode()


def a_packet(chance: random.Random) -> bytes:
    kind = chance.choice("jjjjmbbrn")
    if kind == "j":
        return a_message(chance)
    if kind == "m":  # one with a few bytes wrong; not every one is JSON any more
        whole = bytearray(a_message(chance))
        whole[chance.randrange(len(whole))] = chance.randrange(256)
        return b"j[" + bytes(whole)
    if kind == "n":
        return b"j" + b'[{"do":' * chance.randint(1, 20000)
    return (b"b" if kind == "b" else b"") + chance.randbytes(chance.choice(SIZES))


def visit(path: Path, chance: random.Random) -> None:
    """Says some of it, hears some of it, or none, and goes without a word."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as visitor, suppress(ConnectionError, BlockingIOError):
        visitor.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        visitor.connect(str(path))
        visitor.setblocking(False)
        for _ in range(chance.randint(0, 30)):
            visitor.send(a_packet(chance))
            if chance.random() < 0.3:
                with suppress(BlockingIOError):
                    visitor.recv(1 << chance.randint(0, 17))


def held_by(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def test_no_packet_costs_the_vm_its_life(cli: Cli, payload: Callable[[str], Path]) -> None:
    assert cli.run("up", "-d", cli.spec(payload("rests"))).code == 0
    before = cli.run("inspect", cli.name, "--json").json()["report"]
    descriptors = held_by(before["pid"])
    chance, visitors = random.Random(6), runs(VISITORS)
    for _ in range(visitors):
        visit(cli.state / "control.sock", chance)
    after = cli.run("inspect", cli.name, "--json").json()["report"]
    assert (after["phase"], after["pid"], after["runner"]) == ("running", before["pid"], before["runner"])
    assert comes_true(lambda: held_by(after["pid"]) <= descriptors)  # it may still have to hear that one has left
    assert cli.name in cli.run("ps", "--names").out.split()
    assert cli.run("down", "--kill", cli.name).code == 0
    assert not cli.state.exists()
    print(f"{visitors} visitors")


FLOOD = """
import socket, sys
visitor = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
visitor.connect(sys.argv[1])
print("here", flush=True)
while True:
    visitor.send(b'j{"do": "dance"}')
"""


def test_clients_that_never_stop_talking_keep_nobody_else_from_being_heard(
    cli: Cli, payload: Callable[[str], Path]
) -> None:
    assert cli.run("up", "-d", cli.spec(payload("rests"))).code == 0
    command = [sys.executable, "-c", FLOOD, str(cli.state / "control.sock")]
    talkers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) for _ in range(3)]
    for one in talkers:
        assert one.stdout is not None
        assert one.stdout.readline() == b"here\n"
    try:
        assert cli.run("inspect", cli.name, "--json").json()["report"]["phase"] == "running"
        assert cli.run("down", cli.name).code == 0
    finally:
        for one in talkers:
            one.kill()
            one.communicate()
    assert not cli.state.exists()
