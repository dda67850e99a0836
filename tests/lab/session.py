"""(Host, tests) -> their reports: a boot, and in it a pytest whose account of its tests is read as it is written.

What is lost takes one test with it: of a pytest that dies, others go on in the same machine (tests/again.py); of a
machine that is lost, in another.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests import speed
from tests.account import Account, failed
from tests.lab.boot import INSIDE, Ended, Job, Sink, follow
from tests.lab.hosts import HOSTS, Host
from tests.lab.packages import say
from tests.lab.progress import Progress

ROOT = Path(__file__).parent.parent.parent
LONG = "VMLAUNCH_LONG"  # set by `./dev test --long`: every host, and tests marked `long`
LAB = "VMLAUNCH_LAB"  # set by `./dev test --lab` and `./dev lab`: the hosts of every commit, not only the short round
HANDED = (LONG, LAB, "XDG_CACHE_HOME")  # also inside: what to run, and where the parts of guests are
HERE = "VMLAUNCH_LAB_HOST"  # set inside: the name of the host that this is
SANITIZED = "_native.abi3.so"  # in the folder of results: the C floor with sanitizers, for tests that are marked so
ACCOUNT = "account"  # in the folder of results
PULSE = "pulse"  # there, too
BOOTS = 4  # of one host in one session
SILENCE = 300  # seconds without a pulse, on a fast machine: the boot, an import, the end
# What busy emulation does to a kernel: its processors lose each other, its timer is late.
FLAWS = ("softlockup", "soft lockup", "timer doesn't work")


def here() -> Host | None:
    """The lab host that this process runs in."""
    return HOSTS.get(os.environ.get(HERE, ""))


@dataclass
class Boot:
    """One machine, and what was said of the tests in it."""

    account: Account
    ended: Ended
    said: str

    @property
    def flawed(self) -> bool:
        """Lost to the emulation: a kernel that fails says so. QEMU may die of itself, or hang."""
        return "Kernel panic" not in self.ended.lost or any(flaw in self.ended.lost for flaw in FLAWS)


@dataclass
class Session:
    """All machines of a host, one after the other; the last has ended."""

    tests: list[str]
    boots: list[Boot] = field(default_factory=list)
    lost: dict[str, str] = field(default_factory=dict)  # tests that a machine was lost with, and its last words
    forgiven: dict[str, str] = field(default_factory=dict)  # the same, of tests that run once more

    def left(self) -> list[str]:
        """What has no verdict yet, and may get one."""
        told = {test for boot in self.boots for test in (*boot.account.finished, *boot.account.died)}
        return [test for test in self.tests if test not in told and test not in self.lost]

    def add(self, boot: Boot) -> None:
        """A flaw of the emulation is forgiven once a test."""
        self.boots.append(boot)
        running = boot.account.running
        if boot.ended.lost and running:
            once_more = boot.flawed and running not in self.forgiven
            (self.forgiven if once_more else self.lost)[running] = boot.ended.lost

    @property
    def ended(self) -> Ended:
        return self.boots[-1].ended

    @property
    def without_verdict(self) -> bool:
        """Because of a machine."""
        return bool(self.lost or (self.ended.lost and self.left()))

    def reports_of(self, item: pytest.Item) -> list[pytest.TestReport]:
        for boot in self.boots:
            if (reports := boot.account.reports_of(item)) is not None:
                return reports
        return [failed(item, self._why(item))]

    def _why(self, item: pytest.Item) -> str:
        if item.nodeid in self.lost:
            return f"no verdict, while this test ran: {self.lost[item.nodeid]}"
        if self.ended.lost:
            first = self.ended.lost.splitlines()[0]
            return f"no verdict, before this test could run, {len(self.boots)} times: {first}"
        return f"the session inside ended with status {self.ended.status} and no report on this test\n{self._said()}"

    def _said(self) -> str:
        return self.boots[-1].said


Machine = Callable[[Host, Job, Path, dict[str, Sink | None], Callable[[], str]], Ended]


def hold(
    host: Host,
    tests: list[str],
    work: Path,
    progress: Progress,
    stop: Callable[[], str] = lambda: "",
    machine: Machine = follow,
) -> Session:
    """`work/lab` may have something for the tests already. `stop` says why, once it has to."""
    session = Session(tests)
    for number in range(BOOTS):
        place = work if number == 0 else _another(work, number)
        session.add(_boot(host, session.left(), place, progress, stop, machine))
        if stop() or not (session.ended.lost and session.left()):
            break
        say(f"{progress.name}: {session.ended.lost}\nwhat is left runs in another")
    return session


def _another(work: Path, number: int) -> Path:
    place = work / f"again-{number}"
    (place / "lab").mkdir(parents=True)
    if (work / "lab" / SANITIZED).exists():
        shutil.copy(work / "lab" / SANITIZED, place / "lab")
    return place


def _boot(
    host: Host, tests: list[str], work: Path, progress: Progress, stop: Callable[[], str], machine: Machine
) -> Boot:
    slowness = max(speed.slowness(), speed.measured())  # somebody may have come since the session began
    told, patience = Account(progress.see), Patience(SILENCE * slowness)
    seconds = round(2 * len(tests) * speed.limit(long=True) * slowness)  # more than its tests may take together
    job = Job(_pytest(tests), ROOT, seconds, _environment(host, slowness))
    progress.boots(len(tests))
    sinks = {"stdout": progress.inside, ACCOUNT: told, PULSE: patience}
    ended = machine(host, job, work, sinks, lambda: progress.look() or stop() or patience.why(told.running))
    progress.ended()
    said = "".join((work / "lab" / name).read_text(errors="replace") for name in ("stdout", "stderr"))
    return Boot(told, ended, said)


class Patience:
    """With a machine: as long as its pulse is written here it lives, and ends what is stuck in it by itself."""

    def __init__(self, silence: float) -> None:
        self._silence, self._since = silence, time.monotonic()

    def write(self, pulse: bytes) -> None:
        self._since = time.monotonic()

    def flush(self) -> None:
        """A file has that, too."""

    def why(self, running: str | None) -> str:
        """Why it is over."""
        if time.monotonic() - self._since < self._silence:
            return ""
        return f"said nothing for {self._silence:.0f} s{f', in {running}' if running else ''}"


def _environment(host: Host, slowness: float) -> dict[str, str]:
    handed = {name: os.environ[name] for name in HANDED if name in os.environ}
    return {HERE: host.name, speed.VARIABLE: f"{slowness:.2f}"} | handed


def _pytest(tests: list[str]) -> tuple[str, ...]:
    options = ("-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-vv")
    return (sys.executable, "-m", "tests.again", "--account", f"{INSIDE}/{ACCOUNT}", *options, *tests)


def skipped(item: pytest.Item, reason: str) -> pytest.TestReport:
    path, line, _ = item.location
    keywords = dict.fromkeys(item.keywords, 1)
    return pytest.TestReport(item.nodeid, item.location, keywords, "skipped", (path, line or 0, reason), "setup")
