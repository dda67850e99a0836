"""Placement: what plans of some specs say of many hosts, as `place --json` writes it. Pure data."""

from __future__ import annotations

from launcher.codec import encode
from launcher.errors import Diagnostic
from launcher.record import field, record
from launcher.typed import Any, Literal
from launcher.values import HostDevice

FORMAT_VERSION = "1.0"


@record
class Told:
    """A diagnostic in short: `plan --host` has its evidence and ways out."""

    code: str
    message: str
    path: str | None = None  # the field of the spec


@record
class HostAnswer:
    """What the plan for one host comes to. `fits`: it can run there (with --strict also: nothing is warned of).

    `file`, and `line` of one with a host in each (else 0): the facts. `distance`: how far devices are from memory, the
    sum of NUMA distances over local ones. `spare`: IOMMU groups with a drive, a network card, graphics or an
    accelerator that nothing on the host uses and this VM leaves. `devices` by alias.
    """

    host: str
    file: str
    line: int
    fits: bool
    can_run: Literal["yes", "no", "unknown"]
    blockers: int
    warnings: int
    host_changes: int
    distance: int
    spare: int
    devices: dict[str, HostDevice]
    diagnostics: tuple[Told, ...]

    @property
    def rank(self) -> tuple[object, ...]:
        """Best first: what certainly runs, with the least to say, to change, to reach across and to leave idle."""
        sure = {"yes": 0, "unknown": 1, "no": 2}[self.can_run]
        keys = (sure, self.blockers, self.warnings, self.host_changes, self.distance, self.spare)
        return (not self.fits, *keys, self.host, self.file, self.line)


@record
class Reason:
    """Hosts that do not fit for the same reasons. `alike`: each says so in these words; else the first of them does."""

    hosts: tuple[str, ...]
    diagnostics: tuple[Told, ...]
    alike: bool


@record
class SpecPlacement:
    """One spec. `hosts`: all that could be read, best first. `diagnostics` are of the spec on any host."""

    file: str
    name: str
    fitting: int
    hosts: tuple[HostAnswer, ...]
    reasons: tuple[Reason, ...]
    diagnostics: tuple[Diagnostic, ...] = ()


@record
class Assigned:
    """A VM and the host that it is assigned to, beside others. None: no host was found. `only`: what it may touch
    there, as `--only` takes it, so that it takes nothing of theirs.
    """

    spec: str
    name: str
    host: str | None
    file: str | None = None
    line: int = 0
    devices: dict[str, HostDevice] = field(default_factory=dict)
    only: tuple[HostDevice, ...] = ()


@record
class Placement:
    """The answer to `place`. `assignment`: of several specs, each with a host; None for one. `unread`: of files
    that are no facts, and of hosts that were recorded twice."""

    format_version: str
    vmlaunch: str
    specs: tuple[SpecPlacement, ...]
    assignment: tuple[Assigned, ...] | None
    unread: tuple[Diagnostic, ...]

    @property
    def fits(self) -> bool:
        """Each spec has a host, and all of them together have."""
        assigned = self.assignment or ()
        return all(one.fitting for one in self.specs) and all(one.host is not None for one in assigned)


def placement_to_json(found: Placement) -> dict[str, Any]:
    """Diagnostics in the flat form that they have in a plan."""
    plain: dict[str, Any] = encode(found)
    for one, spec in zip(plain["specs"], found.specs, strict=True):
        one["diagnostics"] = [each.as_json() for each in spec.diagnostics]
    return plain | {"unread": [each.as_json() for each in found.unread]}
