"""What a process of a VM is told to do, by clients and by its keeper: records in, JSON objects out; and back. Pure."""

from __future__ import annotations

from launcher.codec import DecodeError, decode, encode
from launcher.record import record
from launcher.typed import Any, Literal
from launcher.vms.limits import MOST_NAME


@record
class Leave:
    """The client goes, and the VM stays."""


@record
class Watch:
    """The client wants the guest's output: from now, or `all` of it. `name` says what the client is."""

    name: str = ""
    all: bool = False


@record
class WatchLines:
    """As Watch, but from so many lines before the end of what was said. Older keepers know only Watch."""

    name: str
    lines: int


@record
class Type:
    """Whether the client wants to write to the guest."""

    on: bool = False


@record
class AskReport:
    """The keeper answers with what it knows, and again when the runner has told its numbers."""


@record
class Signal:
    """A signal that the client was sent."""

    number: int


@record
class Stop:
    """Stop the VM. `by` is who asks, for the report; `timeout`: seconds for the guest to listen to its power button."""

    by: str = "a client"
    force: bool = False
    timeout: Any = None  # one that is no number is as none


@record
class Begin:
    """From the `up` that has forked the keeper: carry out the plan that was handed over.

    `reboot`: a guest that reboots starts again in place. `wait` is a text that the guest has to say within so many
    seconds.
    """

    reboot: bool = True
    wait: tuple[str, float] | None = None


Order = Leave | Watch | WatchLines | Type | AskReport | Signal | Stop
ORDERS: dict[str, type[Any]] = {
    "leave": Leave,
    "watch": Watch,
    "watch-lines": WatchLines,
    "type": Type,
    "report": AskReport,
    "signal": Signal,
    "stop": Stop,
}
_NAMES = {Begin: "begin"} | {kind: name for name, kind in ORDERS.items()}


def order(one: Order | Begin) -> dict[str, Any]:
    """As it goes over a channel."""
    return {"do": _NAMES[type(one)], **encode(one)}


def read_order(message: dict[str, Any]) -> Order | None:
    """None: nothing that this keeper knows, or not within its limits; who sent it goes without."""
    kind = ORDERS.get(str(message.get("do")))
    try:
        plain = {name: value for name, value in message.items() if name != "do"}
        found: Order | None = decode(kind, plain) if kind else None
    except DecodeError:
        return None
    short = all(len(text) <= MOST_NAME and text.isprintable() for text in plain.values() if isinstance(text, str))
    return found if short else None


def read_begin(message: dict[str, Any]) -> Begin:
    """From the process that has forked this one, which says nothing else."""
    return decode(Begin, {name: value for name, value in message.items() if name != "do"})


RunnerDo = Literal["power", "stop", "tell"]


@record
class RunnerOrder:
    """A keeper to its runner: press the guest's power button, end the VM, or tell the numbers."""

    do: RunnerDo


def read_runner_order(message: dict[str, Any]) -> RunnerDo | None:
    """None: nothing that this runner knows."""
    try:
        return decode(RunnerOrder, message).do
    except DecodeError:
        return None
