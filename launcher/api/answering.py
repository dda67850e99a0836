"""One spec and the facts of one host in; what the plan comes to, in short, out: as `plan --host` says it."""

from __future__ import annotations

import json
from os.path import dirname

from launcher.api.blocking import exit_code
from launcher.api.hosts import asked_now, decoded
from launcher.api.only import terms_of
from launcher.api.plans import named_files
from launcher.machine.boards import board_of
from launcher.plan.placement import HostAnswer, Told
from launcher.planner.beside import groups_taken
from launcher.planner.make import judged
from launcher.planner.near import near
from launcher.planner.spare import spare_groups
from launcher.row import NamedTuple
from launcher.spec.parts import VM_SPEC
from launcher.typed import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from launcher.api.inventories import Source
    from launcher.errors import Diagnostic
    from launcher.host.facts import HostFacts
    from launcher.images.boot_files import BootFiles
    from launcher.planner.fit import Judged
    from launcher.spec.load import Loaded


class Prepared(NamedTuple):
    """A spec, and the files that it names as they are here: they are read once for all hosts. `kind`: what is alike but
    for its name has the same."""

    loaded: Loaded
    files: BootFiles
    kind: str

    @property
    def key(self) -> tuple[str, str, str]:
        return self.loaded.file, self.loaded.spec.name, self.kind


def prepared(loaded: Loaded) -> Prepared:
    said = VM_SPEC.plain(loaded.spec, short=True) | {"name": dirname(loaded.file)}  # paths are relative to that
    return Prepared(loaded, named_files(loaded.spec, loaded.file), json.dumps(said))


def enough_of(plain: Any, specs: Sequence[Prepared], source: Source) -> HostFacts:
    """As much of the host as plans of these specs look at. Refused where a fact does not fit."""
    if isinstance(plain, dict):
        plain = near(plain, [device for one in specs for device in one.loaded.spec.devices.values()])
    return decoded(plain, source.where)


def judge(one: Prepared, host: HostFacts) -> Judged:
    terms = asked_now(terms_of(one.loaded.places.where), host)
    return judged(one.loaded.spec, host, one.files, terms, board_of(host.architecture))


def answer(found: Judged, host: HostFacts, plain: dict[str, Any], source: Source, *, strict: bool) -> HostAnswer:
    """`plain`: all facts of the host."""
    summary = found.summary
    return HostAnswer(
        host=host.name,
        file=source.path,
        line=source.line,
        fits=exit_code(found.diagnostics, strict) == 0,
        can_run=summary.can_run,
        blockers=summary.blockers,
        warnings=summary.warnings,
        host_changes=summary.host_changes,
        distance=found.distance,
        spare=spare_groups(plain, groups_taken(found.steps)),
        devices={one.alias: one.host for one in found.devices if one.role == "device"},
        diagnostics=tuple(map(_told, found.diagnostics)),
    )


def _told(one: Diagnostic) -> Told:
    return Told(one.code, one.message, (one.where.path or None) if one.where else None)
