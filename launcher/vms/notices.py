"""What a keeper tells its clients, the `up` that started it among them: records in, JSON objects out; and back. Pure.

A keeper is confined and may have been taken over. Its texts have limits, as a runner's have, and a report those of the
channel.
"""

from __future__ import annotations

from launcher.codec import DecodeError, decode, encode
from launcher.errors import Diagnostic
from launcher.plan.codec import diagnostic_from_json, report_from_json, report_to_json
from launcher.plan.outcome import Report, StepOutcome
from launcher.record import fields, record
from launcher.typed import Any
from launcher.vms.limits import MOST_TRACE, Unfit, check_sizes
from launcher.vms.orders import AskReport, Order, Watch, WatchLines
from launcher.vms.words import Bug, Failed

# -- to the `up` that started it, before there is a VM ---------------------------------------------------------------


@record
class Begun:
    """The name is claimed, and the plan is being carried out."""


@record
class NameIsTaken:
    """A VM of this name is up, and this is its folder."""

    folder: str


@record
class NotBegun:
    """The plan was refused, or the host refused what it takes. Nothing is changed."""

    diagnostics: tuple[Diagnostic, ...]
    exit_code: int


# -- to all who listen -----------------------------------------------------------------------------------------------


@record
class IsRunning:
    """The vCPUs run."""

    report: Report


@record
class IsStopping:
    """Who or what stops the VM."""

    by: str


@record
class IsEnding:
    """The guest runs no more, and what was made for it is being undone."""


@record
class HasEnded:
    """The last report of the VM."""

    report: Report


# -- to one client ---------------------------------------------------------------------------------------------------


@record
class Known:
    """The first answer to AskReport: what the keeper knows without its runner."""

    report: Report


@record
class Now:
    """The second one, with the runner's numbers."""

    report: Report


@record
class Watching:
    """The answer to Watch, of a VM that does not run yet."""


@record
class MayType:
    """Whether the client is the one that writes to the guest."""

    on: bool


@record
class Taken:
    """The guest has room for what the client typed: the next piece may come."""


@record
class Full:
    """The client is turned away: so many read and write already."""

    most: int


Notice = (
    Begun | NameIsTaken | NotBegun | StepOutcome | IsRunning | IsStopping | IsEnding | HasEnded | Known | Now | Watching
    | MayType | Taken | Full | Failed | Bug
)  # fmt: skip
NOTICES: dict[str, type[Any]] = {
    "begun": Begun,
    "up": NameIsTaken,
    "refused": NotBegun,
    "outcome": StepOutcome,
    "running": IsRunning,
    "stopping": IsStopping,
    "ending": IsEnding,
    "report": HasEnded,
    "known": Known,
    "now": Now,
    "watching": Watching,
    "writer": MayType,
    "taken": Taken,
    "full": Full,
    "failed": Failed,
    "bug": Bug,
}
# What the keeper answers an order at once, and when its VM has ended meanwhile.
ANSWERS: dict[type[Any], tuple[type[Any], ...]] = {
    AskReport: (Known, HasEnded),
    Watch: (Watching, IsRunning, HasEnded, Full),
    WatchLines: (Watching, IsRunning, HasEnded, Full),
}
_NAMES = {kind: name for name, kind in NOTICES.items()}
_WITH_REPORT = (IsRunning, HasEnded, Known, Now)
_WHOLE = (StepOutcome, Failed)  # all others have one field, whose value goes over the channel, or none
_FROM_ITS_BIRTH = (Begun, NameIsTaken, NotBegun)  # a keeper that begins has met no guest yet


def notice_to_json(notice: Notice) -> dict[str, Any]:
    """As it goes over a channel."""
    name = _NAMES[type(notice)]
    match notice:
        case IsRunning(report) | HasEnded(report) | Known(report) | Now(report):
            return {name: report_to_json(report)}
        case NotBegun(diagnostics, exit_code):
            return {name: [one.as_json() for one in diagnostics], "exit_code": exit_code}
        case StepOutcome() | Failed():
            return {name: encode(notice)}
        case _:
            return {name: next(iter(encode(notice).values()), True)}


def notice_from_json(message: dict[str, Any]) -> Notice | None:
    """None: nothing that this client knows. DecodeError: it is of another version, or out of all bounds."""
    kind = _kind_of(message)
    if kind is None:
        return None
    name = _NAMES[kind]
    plain = message[name]
    if kind in _WITH_REPORT:
        told: Notice = kind(report_from_json(plain))
        return told
    if kind is NotBegun:
        found = plain if isinstance(plain, list) else []
        diagnostics = tuple(diagnostic_from_json(one, name) for one in found)
        return NotBegun(diagnostics, decode(int, message.get("exit_code"), "exit_code"))
    if kind not in _FROM_ITS_BIRTH:
        _check_limits(name, plain)
    notice: Notice = decode(kind, plain if kind in _WHOLE else dict.fromkeys(fields(kind), plain), name)
    return notice


def is_answer(message: dict[str, Any], asked: Order) -> bool:
    """Whether the keeper has heard that order: all clients are told of what happens. It may be of another version."""
    return _kind_of(message) in ANSWERS[type(asked)]


def _kind_of(message: dict[str, Any]) -> type[Any] | None:
    return next((NOTICES[name] for name in message if name in NOTICES), None)


def _check_limits(name: str, plain: Any) -> None:
    try:
        check_sizes(plain, MOST_TRACE)
    except Unfit as why:
        raise DecodeError(name, str(why)) from None
