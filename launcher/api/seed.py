"""A plan in; the files that cloud-init will find in its guest, as text, out. Reads the files that the plan names."""

from __future__ import annotations

from launcher.api.files import read_bytes
from launcher.errors import Diagnostic, Refused, WrongUsage
from launcher.plan.seed import StartSeedEngine
from launcher.row import NamedTuple
from launcher.typed import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from launcher.plan.plan import Plan


class Shown(NamedTuple):
    """`path` is empty for a file that is made of the spec."""

    name: str
    path: str
    text: str


def seed_of(plan: Plan) -> Iterator[Shown]:
    """WrongUsage: there is none; Refused: why it cannot be made."""
    step = next((one for one in plan.steps if isinstance(one, StartSeedEngine)), None)
    if step is None and (errors := [one for one in plan.diagnostics if one.severity == "error"]):
        raise Refused(*errors)
    if step is None:
        help_ = ("add `cloud-init: {user-data: ./user-data}`",)
        raise WrongUsage(Diagnostic("E299", f"{plan.name} has nothing for cloud-init to show", help=help_))
    for one in step.files:
        text = read_bytes(one.path).decode("utf-8", "replace") if one.path else one.text
        yield Shown(one.name, one.path, text)
