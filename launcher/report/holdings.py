"""What keeper and runner hold and gave up in; rows for the report's table out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from launcher.plan.outcome import Report
from launcher.vms.holdings import Holdings

Row = tuple[str, str]


def rows(report: Report, keeper: Holdings | None, runner: Holdings | None) -> Iterator[Row]:
    """None of a process that has gone."""
    if keeper is not None:
        yield from _process("keeper", keeper, report.keeper_confinement, report.keeper_writes)
    if runner is not None:
        writes = () if report.confinement.get("landlock") == "on" else ("/",)
        yield from _process("runner", runner, report.confinement, writes)


def confinement(measures: Mapping[str, str]) -> str:
    without = [f"{name} ({cause})" for name, cause in measures.items() if cause != "on"]
    having = ", ".join(name for name, cause in measures.items() if cause == "on") or "by nothing"
    return f"{having}; without {', '.join(without)}" if without else having


def _process(name: str, held: Holdings, measures: Mapping[str, str], writes: tuple[str, ...]) -> Iterator[Row]:
    yield name, f"process {held.pid}, {_user(held)}"
    yield "  gave up", confinement(measures)
    capabilities = f"{held.capabilities:#x} and those that new programs gain" if not held.no_new_privs else ""
    yield "  capabilities", capabilities or (f"{held.capabilities:#x}" if held.capabilities else "none")
    yield "  filters", _filters(held.filters)
    yield "  writes to", ", ".join(writes) or "nothing by name"
    yield "  open", _files(held.files)


def _user(held: Holdings) -> str:
    real, effective, _, files = held.uids
    if len(set(held.uids)) == 1:
        return f"uid {real}, gid {held.gids[0]}"
    return f"uid {real}, signals as uid {effective}, files as uid {files}"


def _filters(filters: Mapping[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in filters.items())


def _files(files: Mapping[str, int] | None) -> str:
    if files is None:
        return "only root may look"
    return ", ".join(f"{name} x{count}" if count > 1 else name for name, count in files.items())
