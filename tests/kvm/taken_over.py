"""vmlaunch with a runner that its guest has taken over: `python -m tests.kvm.taken_over WAY up ...`.

What it does comes after it has been shut in and its guest runs: with what it holds then, and the calls it may make.
"""

from __future__ import annotations

import os
import random
import select
import sys
from collections.abc import Callable
from typing import Any

from launcher.cli import main
from launcher.executor.runner.runner import Runner
from launcher.native import ffi
from launcher.plan.outcome import Counts, StepOutcome
from launcher.vms import words
from launcher.vms.channel import MOST, pack, pack_bytes


def send(it: Any, packet: bytes) -> None:
    it._keeper._socket.send(packet)


def write_over(ring: Any, head: int | None = None, tail: int | None = None) -> None:
    """The words of a ring that both processes can write; the keeper is woken to look at them."""
    shared = ffi.cast("uint64_t *", ring._memory)
    for n, value in enumerate((head, tail)):
        if value is not None:
            shared[n] = value % (1 << 64)
    os.eventfd_write(ring.event, 1)


def scribble(it: Any) -> None:
    chance = random.Random(7)
    while True:
        for ring in (it._live.console.output, it._live.console.input):
            write_over(ring, chance.getrandbits(chance.randrange(1, 65)), chance.getrandbits(64))


def flood(it: Any) -> None:
    """As much as its keeper takes, for ever."""
    last = len(it._plan.steps)
    packet = pack(words.say(StepOutcome(last, "progress", note="n" * words.MOST_NOTE)))[0]
    while True:
        send(it, packet)


def tells_numbers_for_ever(it: Any) -> None:
    packet = pack(words.say(words.Counted(Counts(), (0,) * it._run_step.count)))[0]
    while True:
        send(it, packet)


def parts_without_end(it: Any) -> None:
    while True:
        send(it, b"p" + bytes(MOST - 1))


def keeps_still(_: Any) -> None:
    while True:
        select.poll().poll()


def says(message: Any) -> Callable[[Any], None]:
    """And then keeps still."""

    def way(it: Any) -> None:
        send(it, message if isinstance(message, bytes) else pack(message)[0])
        keeps_still(it)

    return way


def reports_on_a_step(**fields: Any) -> Callable[[Any], None]:
    return lambda it: says({"outcome": {"n": len(it._plan.steps), "state": "undone"} | fields})(it)


# It is killed for these.
WRONG: dict[str, Callable[[Any], None]] = {
    "head behind": lambda it: (write_over(it._live.console.output, head=-1), keeps_still(it))[0],
    "head far ahead": lambda it: (write_over(it._live.console.output, head=1 << 63), keeps_still(it))[0],
    "tail ahead": lambda it: (write_over(it._live.console.input, tail=5), keeps_still(it))[0],
    "scribble": scribble,
    "garbage": says(b"j{"),
    "console bytes": says(pack_bytes(b"root:x:0:0")),
    "no word": says({"dance": {}}),
    "two words": says({"running": {}, "reboot": {}}),
    "too long": says(b"j" + b" " * MOST),
    "parts": parts_without_end,
    "deep": says(b"j" + b'{"end":' * 15000),
    "huge number": says(b'j{"outcome":{"n":' + b"9" * 4000 + b',"state":"done"}}'),
    "step of the keeper": says({"outcome": {"n": 1, "state": "undone"}}),
    "step that is not there": reports_on_a_step(n=10**9),
    "long note": reports_on_a_step(note="n" * 5000),
    "endless seconds": reports_on_a_step(seconds=float("inf")),
    "runs twice": says({"running": {}}),
    "exit code": says({"end": {"how": "power-off", "detail": "", "exit_code": 3}}),
    "end": says({"end": 5}),
    "no problem": says({"failed": {"diagnostics": []}}),
    "numbers of more vCPUs": says({"counts": {"counts": {}, "exits": [1] * 500}}),
    "device": says({"device": {"alias": "gpu"}}),
    "alarm": says({"alarm": {"alias": "gpu", "kind": "request"}}),
    "confined": says({"confined": {"measures": {"seccomp": 5}}}),
    "power": says({"power": {"listens": 7}}),
    "long bug": says({"bug": "x" * 100_000}),
}
# It lives on until it is stopped.
TIRESOME: dict[str, Callable[[Any], None]] = {
    "flood": flood,
    "numbers": tells_numbers_for_ever,
    "deaf": keeps_still,
}
LAST: dict[str, Callable[[Any], None]] = {
    "dies": lambda _: os._exit(3),
    "bug with escapes": says({"bug": "\x1b]0;title\x07\x1b[2J"}),
}


def take_over(it: Any) -> None:
    """Once the guest has said its one character, which would be written over what we write."""
    while not it._live.console.head:
        select.poll().poll(1)
    (WRONG | TIRESOME | LAST)[sys.argv[1]](it)


if __name__ == "__main__":
    Runner._watch = take_over  # type: ignore[method-assign]
    sys.exit(main(sys.argv[2:]))
