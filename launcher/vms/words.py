"""What a runner says to its keeper: records in, JSON objects out; and back, each within its limits. Pure.

A runner may have been taken over by its guest. What it says is told by one record each, and `Hearing` lets pass only
what a runner of this plan could say: anything else is Unfit, and no part of it is used.
"""

from __future__ import annotations

from collections.abc import Callable

from launcher.codec import DecodeError, decode, encode
from launcher.errors import Diagnostic
from launcher.plan.outcome import ContainerReport, Counts, DeviceReport, StepOutcome, VirtioReport
from launcher.plan.plan import Plan
from launcher.plan.steps import OpenDevices, RunVcpus
from launcher.plan.virtio import AddVirtio
from launcher.record import field, record
from launcher.typed import Any, Literal
from launcher.values import Hex
from launcher.vms.limits import (
    MOST_ITEMS,
    MOST_NOTE,
    MOST_NUMBER,
    MOST_TEXT,
    MOST_TRACE,
    Unfit,
    as_text,
    check_sizes,
    clipped,
    is_word,
)


@record
class Running:
    """The vCPUs run; its devices were told before."""


@record
class Rebooted:
    """In place."""


@record
class Failed:
    """A step, and with it the VM."""

    diagnostics: tuple[Diagnostic, ...]


@record
class Ended:
    """The guest, by itself. What it means for the exit code the keeper knows."""

    how: Literal["power-off", "reset", "crash"]
    detail: str
    registers: dict[str, Hex] = field(default_factory=dict)


@record
class Counted:
    """The answer to `tell`, and the last word on a life. `exits` of each vCPU; none before there are any. `halted`: no
    interrupt wakes any of them."""

    counts: Counts
    exits: tuple[int, ...]
    halted: bool = False


@record
class Containers:
    spaces: tuple[ContainerReport, ...]


@record
class Alarm:
    """VFIO's request interrupt: the host wants it back; or its error interrupt; or its engine has gone."""

    alias: str
    kind: Literal["request", "error", "gone"]


@record
class Confined:
    """What it has given up, by name: `on`, or why the kernel refuses."""

    measures: dict[str, str]


@record
class Power:
    """The answer to `power`: whether the guest listens to its button."""

    listens: bool


@record
class Bug:
    """A traceback."""

    bug: str


Word = (
    StepOutcome | Running | Rebooted | Failed | Ended | Counted | DeviceReport | VirtioReport | Containers | Alarm
    | Confined | Power | Bug
)  # fmt: skip
WORDS: dict[str, type[Any]] = {
    "outcome": StepOutcome,
    "running": Running,
    "reboot": Rebooted,
    "failed": Failed,
    "end": Ended,
    "counts": Counted,
    "device": DeviceReport,
    "virtio": VirtioReport,
    "containers": Containers,
    "alarm": Alarm,
    "confined": Confined,
    "power": Power,
    "bug": Bug,
}
NAMES = {kind: name for name, kind in WORDS.items()}
TEXTS = {"outcome": MOST_NOTE, "device": MOST_NOTE, "virtio": MOST_NOTE, "bug": MOST_TRACE}  # longest text in a word


def say(word: Word) -> dict[str, Any]:
    """As it goes over a channel; a text that is too long loses its end, a trace its beginning."""
    name = NAMES[type(word)]
    if isinstance(word, Bug):
        return {name: as_text(word.bug)[-MOST_TRACE:]}
    return {name: clipped(encode(word), TEXTS.get(name, MOST_TEXT))}


class Hearing:
    """What the runner of this plan may say, and what it has said that is said once."""

    def __init__(self, plan: Plan) -> None:
        self._steps = {n for n, step in enumerate(plan.steps, 1) if step.by == "runner"}
        self._vcpus = next(step.count for step in plan.steps if isinstance(step, RunVcpus))
        passed = [one for step in plan.steps if isinstance(step, OpenDevices) for one in step.devices]
        self._devices = {(one.alias, str(one.address), one.group, one.guest.guest) for one in passed}
        added = [one for step in plan.steps if isinstance(step, AddVirtio) for one in step.functions]
        self._virtio = {(one.alias, one.kind, one.engine, one.guest.guest) for one in added}
        self._passed, self._served = {one.alias for one in passed}, {one.alias for one in added}
        self._once: set[object] = set()

    def read(self, message: object) -> Word:
        """Unfit when it is none that this runner could send."""
        if not isinstance(message, dict) or len(message) != 1:
            raise Unfit("it is not one word")
        ((name, plain),) = message.items()
        kind = WORDS.get(name)
        if kind is None:
            raise Unfit("it is a word that no runner knows")
        try:
            check_sizes(plain, TEXTS.get(name, MOST_TEXT))
            word: Word = Bug(decode(str, plain)) if kind is Bug else decode(kind, plain)
        except DecodeError as error:
            raise Unfit(f"{name}: {error}") from None
        for fits, why in _LIMITS.get(kind, ()):
            if not fits(self, word):
                raise Unfit(f"{name}: {why}")
        return word

    def _first(self, what: object) -> bool:
        """Of its kind; those that follow are one too many."""
        before = len(self._once)
        self._once.add(what)
        return len(self._once) > before

    def _is_next(self, one: StepOutcome) -> bool:
        return one.state in ("progress", "not-undone") or self._first((one.n, one.state))

    def _is_of_plan(self, one: DeviceReport) -> bool:
        return (one.alias, one.host, one.group, one.guest) in self._devices

    def _is_virtio_of_plan(self, one: VirtioReport) -> bool:
        return (one.alias, one.kind, one.engine, one.guest) in self._virtio

    def _may_alarm(self, one: Alarm) -> bool:
        return one.alias in (self._served if one.kind == "gone" else self._passed)


# What a word of each kind has to be beyond its fields, and what is said when it is not.
_LIMITS: dict[type[Any], tuple[tuple[Callable[[Hearing, Any], bool], str], ...]] = {
    StepOutcome: (
        (lambda it, one: one.n in it._steps, "it names a step that is not the runner's"),
        (lambda it, one: it._is_next(one), "the step has come to that already"),
    ),
    Running: ((lambda it, _: it._first("running"), "it runs already"),),
    Failed: (
        (lambda _, one: 0 < len(one.diagnostics) <= MOST_ITEMS, "it names no problem, or too many"),
        (lambda it, _: it._first("failed"), "it has failed already"),
    ),
    Ended: (
        (lambda _, one: all(map(is_word, one.registers)), "no register is called so"),
        (lambda _, one: all(value < MOST_NUMBER for value in one.registers.values()), "no register holds so much"),
        (lambda it, _: it._first("end"), "it has ended already"),
    ),
    Counted: ((lambda it, one: len(one.exits) in (0, it._vcpus), "it counts vCPUs that are not there"),),
    DeviceReport: (
        (lambda it, one: it._is_of_plan(one), "the plan has no such device"),
        (lambda _, one: len(one.bars) <= MOST_ITEMS, "no device has so many BARs"),
        (lambda _, one: all((bar.guest or 0) < MOST_NUMBER for bar in one.bars), "no BAR is there"),
    ),
    Containers: ((lambda it, one: len(one.spaces) <= len(it._devices), "there are more than devices"),),
    VirtioReport: ((lambda it, one: it._is_virtio_of_plan(one), "the plan has no such function"),),
    Alarm: ((lambda it, one: it._may_alarm(one), "the plan has no such device"),),
    Confined: (
        (lambda _, one: all(map(is_word, one.measures)), "no measure is called so"),
        (lambda it, _: it._first("confined"), "it has said so already"),
    ),
}
